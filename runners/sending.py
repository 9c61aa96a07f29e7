"""Answers on their way to a client that may be slow, gone, or still sending."""

import asyncio
from collections.abc import Callable


class StallWatch:
    """Cuts a connection whose client takes nothing of what waits to be sent."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, stall_s: float
    ) -> None:
        self._transport = transport
        self._stall_s = stall_s
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Watch, if anything waits."""
        self.end()
        left = self._transport.get_write_buffer_size()
        if left:
            self._timer = self._loop.call_later(self._stall_s, self._check, left)

    def end(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, before: int) -> None:
        if self._transport.get_write_buffer_size() >= before:
            self._transport.abort()
        else:
            self.begin()


class ClosedWhenRead:
    """As much of a transport as uvicorn uses for an answer; closing it is left to the owner.

    A connection that is closed while the client still sends is reset, and the answer lost.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close
