"""Advances rolling operations: which host is next, and a tick for each host that is in process.

Which host is next is decided in the transaction that records it
(`operation_commands.advance`); what a host's steps do is in `host_driver.py`. Of several processes
one advances an operation, and each works on the hosts that it owns.
"""

from collections.abc import AsyncIterator, Callable, Collection, Container, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

from domain.aggregates import operation_events as events
from domain.aggregates.operation_events import OperationEvent
from domain.commands import operation_commands
from domain.commands.holds import NOBODY_ASKED, Verdicts, still_good
from domain.event import TIME_FORMAT, Act, Recorded, seconds_between
from domain.log.unit import Unit
from domain.rollouts.moves import Wait
from projections.beside_the_log import outputs
from runners.gates.gates import NO_GATES
from runners.leases.ownership import SINGLE_PROCESS, HostsOf, Ownership, ShardSet
from runners.operations.host_driver import HostDriver
from runners.operations.host_step import EventLog
from runners.operations.step_outcomes import ACTOR
from runners.scheduling.process_manager import Due, ProcessManager
from runners.scheduling.protocols import Writes
from runners.scheduling.work_queue import Priority, Requeue

ADVANCE_EVERY_S = 10.0
"""An operation is advanced at least so often, also where no event of it was noticed."""
ADVANCE_BLOCKED_EVERY_S = 1.0
"""The same for one that waits for members to become available."""
PURGE_EVERY_S = 3600.0
PURGE = "purge"


class AsksGates(Protocol):
    """Asks gates of the settings; see `runners.gates.gates`."""

    async def ask(self, names: Collection[str]) -> Verdicts: ...


class OperationDriver(ProcessManager):
    """Works on `parallel` hosts at once, over all operations.

    `kept_s`: how long the output of steps is kept. `now()` gives the time for events.
    """

    def __init__(
        self,
        writer: Writes,
        log: EventLog,
        hosts: HostDriver,
        *,
        parallel: int,
        kept_s: float,
        now: Callable[[], str],
        gates: AsksGates = NO_GATES,
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        super().__init__(parallel, ownership=ownership)
        self._writer = writer
        self._log = log
        self._hosts = hosts
        self._kept_s = kept_s
        self._now = now
        self._gates = gates
        self._in_hand: set[str] = set()
        """Keys of hosts that are being worked on, or wait for their next tick."""
        self._cancelling: set[str] = set()
        """Operations that are to end soon: their sessions with hosts are cut short."""
        self._is_stopping = False

    async def stop(self, timeout_s: float) -> None:
        """Steps go on on their hosts; whoever watches them next is not kept waiting."""
        self._is_stopping = True
        await super().stop(timeout_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Old output is purged meanwhile."""
        async with super().running():
            self._queue.enqueue_after(ADVANCE_EVERY_S, PURGE)
            yield

    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """All operations that are not over: any of them may have hosts of these shards."""
        return [Due(name) for name in await self._log.unfinished()]

    def keys_of(self, shards: ShardSet) -> Container[str]:
        """Operations are advanced by whoever owns them when their tick comes."""
        return HostsOf(shards)

    def drop(self, keys: Container[str]) -> None:
        """Forget what was observed of the hosts as well."""
        super().drop(keys)
        self._in_hand = {key for key in self._in_hand if key not in keys}
        self._hosts.forget_those(keys)

    def notice(self, recorded: Recorded) -> None:
        """Work on a host whose step is next; advance an operation whose hosts or state changed."""
        event = recorded.event
        if not isinstance(event, OperationEvent):
            return
        name = event.originator_id.partition("/")[2]
        match event:
            case events.HostStarted() | events.StepDone():
                self._take_in_hand(name, event.address)
            case (
                events.StepSent()
                | events.StepWaits()
                | events.RebootRequested()
                | events.Paused()
                | events.Waits()
                | events.WaveStarted()
                | events.WaveApproved()
                | events.HostUnwell()
                | events.HostWell()
            ):
                pass  # nothing follows from these
            case events.Ended():
                self._cancelling.discard(name)
            case events.CancelRequested():
                self._cancelling.add(name)
                self._queue.enqueue(name)
            case _:
                self._queue.enqueue(name)

    def _take_in_hand(self, name: str, address: str) -> None:
        if not self._ownership.holds(address):
            return
        key = f"{name} {address}"
        self._in_hand.add(key)
        self._queue.enqueue(key)

    async def tick(self, key: str) -> Requeue | None:
        """Advance an operation, take one of its hosts further, or purge old output."""
        name, _, address = key.partition(" ")
        if key == PURGE:
            return await self._purge()
        if not address:
            return await self._advance(name)

        def is_urgent() -> bool:
            return self._is_stopping or name in self._cancelling

        again = await self._hosts.tick(name, address, is_urgent)
        if again is None:
            self._in_hand.discard(key)
        return again

    async def _advance(self, name: str) -> Requeue | None:
        """Advance the operation, and see that each of its hosts in process is in hand."""
        pause_s = ADVANCE_EVERY_S
        if self._ownership.holds(name):
            wait = await self._start_hosts(name, NOBODY_ASKED)
            while wait is not None and wait.asks:
                wait = await self._start_hosts(name, await self._gates.ask(wait.asks))
            if wait is None:
                return None
            pause_s = _pause_s(wait, self._now())
        operation = await self._log.operation(name)
        if operation.is_over:
            return None
        cancelling = operation.state == "cancelling"
        if cancelling:
            self._cancelling.add(name)
        for address in operation.with_outcome("in_process"):
            if cancelling or f"{name} {address}" not in self._in_hand:
                self._take_in_hand(name, address)
        return Requeue(pause_s, Priority.CONTINUED)

    async def _start_hosts(self, name: str, verdicts: Verdicts) -> Wait | None:
        """Start the hosts whose turn it is: one where gates have been asked just now."""
        answered_at = self._now()

        def advance(unit: Unit) -> Wait | None:
            known = still_good(verdicts, answered_at, self._now())
            return operation_commands.advance(unit, name, known)

        wait: Wait | None = await self._writer.perform(
            Act(ACTOR, f"operation/{name}", answered_at), self._ownership.fenced(name, advance)
        )
        return wait

    async def _purge(self) -> Requeue:
        """Delete output that has been kept long enough; one process does this for all."""
        if not self._ownership.holds(PURGE):
            return Requeue(PURGE_EVERY_S, Priority.RETRY)
        at = self._now()
        before = datetime.fromisoformat(at) - timedelta(seconds=self._kept_s)
        oldest = before.strftime(TIME_FORMAT)
        await self._writer.perform(
            Act(ACTOR, "outputs", at),
            lambda unit: unit.write_beside(lambda tx: outputs.purge(tx, oldest)),
        )
        return Requeue(PURGE_EVERY_S, Priority.RETRY)


def _pause_s(wait: Wait, at: str) -> float:
    """When to ask again: others may come back soon, and a time is not to be slept through."""
    if wait.what == "members":
        return ADVANCE_BLOCKED_EVERY_S
    left_s = seconds_between(at, wait.until) if wait.until else ADVANCE_EVERY_S
    return min(max(left_s, 0.0), ADVANCE_EVERY_S)
