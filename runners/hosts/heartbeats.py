"""The times of checks that found nothing new: many in one write, and never in the log of events."""

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
"""A heartbeat is so old at most when GET shows it; a crash loses those of so long a time."""

Store = Callable[[Transaction, Mapping[str, str]], None]
"""Keeps the times of the last checks by address; of addresses that are gone, none."""


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
        """Write them as long as the context is open, and what is left at its end."""
        writing = asyncio.create_task(self._write_for_ever(), name="heartbeats")
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.wait((writing,))
            await self.write()

    async def write(self) -> None:
        """Write what has been gathered; what the database does not take is kept for the next."""
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
