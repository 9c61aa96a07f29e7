"""Times of checks that found nothing new: written many at a time, and not as events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from domain.event import Act
from domain.log.engine import PersistenceError
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal

WRITE_EVERY_S = 5.0
"""GET may show a heartbeat that is so old; a crash loses the heartbeats of so long a time."""

Store = Callable[[Transaction, Mapping[str, str]], None]
"""Stores the times of the last checks by address, except of addresses that were removed."""


class Heartbeats:
    """Gathers heartbeats and writes them in batches, while `running()`."""

    def __init__(self, writer: Writer, store: Store, actor: str, now: Callable[[], str]) -> None:
        self._writer = writer
        self._store = store
        self._actor = actor
        self._now = now
        self._seen: dict[str, str] = {}

    def seen(self, address: str, at: str) -> None:
        """The host answered at this time."""
        self._seen[address] = at

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Heartbeats are written while the context is open, and at its end."""
        writing = asyncio.create_task(self._write_for_ever(), name="heartbeats")
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.wait((writing,))
            await self.write()

    async def write(self) -> None:
        """Write the gathered heartbeats; those that the database does not take are kept."""
        seen, self._seen = self._seen, {}
        if not seen:
            return

        def keep(unit: Unit) -> None:
            unit.write_beside(lambda tx: self._store(tx, seen))

        try:
            await self._writer.perform(Act(self._actor, "heartbeats", self._now()), keep)
        except (Refusal, PersistenceError):
            self._seen = seen | self._seen

    async def _write_for_ever(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(WRITE_EVERY_S)
                await asyncio.shield(self.write())
