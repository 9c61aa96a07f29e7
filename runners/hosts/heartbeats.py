"""What is learned of hosts and is no event, such as times of checks: written many at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

from domain.event import Act
from domain.log.engine import PersistenceError
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal

WRITE_EVERY_S = 5.0
"""GET may show a heartbeat that is so old; a crash loses the heartbeats of so long a time."""

V = TypeVar("V")


class Gathered(Generic[V]):
    """Gathers what was learned last of each host, and writes it in batches, while `running()`.

    `store` stores it by address, except of addresses that were removed.
    """

    def __init__(
        self,
        writer: Writer,
        store: Callable[[Transaction, Mapping[str, V]], None],
        actor: str,
        now: Callable[[], str],
        every_s: float = WRITE_EVERY_S,
    ) -> None:
        self._writer = writer
        self._store = store
        self._actor = actor
        self._now = now
        self._every_s = every_s
        self._seen: dict[str, V] = {}

    def seen(self, address: str, what: V) -> None:
        """This is what is known of the host now."""
        self._seen[address] = what

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It is written while the context is open, and at its end."""
        writing = asyncio.create_task(self._write_for_ever(), name="gathered")
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.wait((writing,))
            await self.write()

    async def write(self) -> None:
        """Write what was gathered; what the database does not take is kept."""
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
                await asyncio.sleep(self._every_s)
                await asyncio.shield(self.write())


class Heartbeats(Gathered[str]):
    """When hosts answered last, though nothing had changed."""
