"""A connection that does not close is aborted, also where whoever used it is being cancelled."""

import asyncio
from contextlib import suppress
from typing import cast

import pytest

from runners.ssh import client
from runners.ssh.bounded_connection import Wire


class StubbornWire:
    """Never closes by itself."""

    aborted = False

    def close(self) -> None:
        """Take no notice."""

    def abort(self) -> None:
        """Be gone."""
        self.aborted = True

    async def wait_closed(self) -> None:
        """For ever."""
        await asyncio.Event().wait()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_what_does_not_close_is_aborted(
    monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    monkeypatch.setattr(client, "CLOSE_TIMEOUT_S", 0.05)
    wire = StubbornWire()
    used = asyncio.Event()

    async def use() -> None:
        try:
            used.set()
            if is_cancelled:
                await asyncio.Event().wait()
        finally:
            await client._close(cast(Wire, wire))

    using = asyncio.create_task(use())
    await used.wait()
    if is_cancelled:
        using.cancel()
    with suppress(asyncio.CancelledError):
        await using
    assert wire.aborted
