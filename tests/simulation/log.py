"""A log in memory, between whose appends the service may die."""

import asyncio
import sqlite3
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from domain.aggregates.host import Host
from domain.aggregates.operation import Operation
from domain.event import Act, Event, Recorded
from domain.log.transaction import SQLiteTransaction, Transaction
from domain.refusal import Refusal
from projections.beside_the_log import outputs
from projections.container_managers import NodeChangeRow
from projections.planning.schedules import Timing
from tests.domain.memory_unit import MemoryUnit

COMMIT_S = 0.002


class PlayedUnit(MemoryUnit):
    """Aggregates, and writes beside the log."""

    def __init__(self) -> None:
        super().__init__()
        # Whichever thread collects the garbage closes it.
        beside = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, beside.close).atexit = False
        self._tx = SQLiteTransaction(beside)
        self.writes: list[Callable[[Transaction], None]] = []

    @property
    def tx(self) -> Transaction:
        """What is beside the log."""
        return self._tx

    def write_beside(self, write: Callable[[Transaction], None], *, scrub: bool = False) -> None:
        """Write when it is stored."""
        self.writes.append(write)


class PlayedLog:
    """What is appended stays. `crash` may never return."""

    def __init__(
        self,
        unit: PlayedUnit,
        crash: Callable[[], Awaitable[None]],
        time: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.unit = unit
        self.crash = crash
        self._time = time
        self.entries: list[Recorded] = []
        self.seconds: list[float] = []
        """When each of them was stored, by a clock that nobody sets."""
        self.before = len(unit.history)
        """So much happened before the story."""
        self.on_commit: Callable[[int, Sequence[Recorded]], None] = lambda previous, recorded: None
        self._tx = unit.tx
        for statement in outputs.schema("sqlite"):
            self._tx.execute(statement)

    async def perform(self, act: Act, command: Callable[[Any], Any]) -> Any:
        """Decide and store."""
        await asyncio.sleep(COMMIT_S)
        await self.crash()
        result = self.do(act, command)
        await self.crash()
        return result

    def do(self, act: Act, command: Callable[[Any], Any]) -> Any:
        """At once."""
        unit = self.unit
        unit.act, unit.pending, unit.writes = act, [], []
        try:
            result = command(unit)
        except Refusal:
            unit.roll_back()
            raise
        for write in unit.writes:
            write(self._tx)
        self._append([event for _, event in unit.did()])
        return result

    def _append(self, events: Sequence[Event]) -> None:
        if events:
            previous = len(self.entries)
            recorded = [
                Recorded(previous + number + 1, event.at, event)
                for number, event in enumerate(events)
            ]
            self.entries += recorded
            self.seconds += [self._time()] * len(recorded)
            self.on_commit(previous, recorded)

    async def after(self, position: int) -> list[Recorded]:
        """Further entries."""
        return self.entries[position:]

    async def unfinished(self) -> list[str]:
        """Operations that are not over."""
        found = self.unit.operations.values()
        return [each.name for each in found if each.state and not each.is_over]

    async def pending_node_changes(self) -> list[tuple[str, str]]:
        """What container managers are still to be told."""
        managers = self.unit.container_managers.values()
        return [(each.name, address) for each in managers for address in each.cordoned]

    async def pending_node_change(self, name: str, address: str) -> NodeChangeRow | None:
        """Of one host: in these stories only cordons are to be taken away."""
        operation = self.unit.container_managers[name].cordoned.get(address)
        if operation is None:
            return None
        return NodeChangeRow(f"{name} {address}", 0, name, address, "", "", "", operation)

    async def without_node_change(self) -> list[str]:
        """Everybody is told."""
        return []

    async def leaving(self) -> list[str]:
        """Nobody leaves."""
        return []

    async def schedules(self) -> list[str]:
        """The names of all schedules."""
        return [each.name for each in self.unit.schedules.values() if each.exists]

    async def timing(self, name: str) -> Timing | None:
        """When one fires."""
        found = self.unit.schedules[name]
        return Timing(found.cron, found.zone, found.handled) if found.exists else None

    async def operation(self, name: str) -> Operation:
        """One operation."""
        await asyncio.sleep(0)
        return self.unit.operations[name]

    async def load(self, address: str) -> Host:
        """One host."""
        return self.unit.hosts[address]

    async def output(self, operation: str, address: str) -> bytes:
        """What is kept."""
        return outputs.output(self._tx, operation, address)
