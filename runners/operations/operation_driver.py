"""The process manager of rolling operations: kill it anywhere, start it again, and they go on.

What is not over is read from the log at the start, and followed from then on. Which host is next
is decided in the transaction that says so (`domain.operation_commands.advance`); what its steps are
is done by `runners.operations.host_driver`. Of several processes one lets an operation go on, and
each works on those of its hosts that are its own.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from domain import operation_commands
from domain import operation_events as events
from domain.event import TIME_FORMAT, Act, Recorded
from domain.log.engine import PersistenceError
from domain.log.follower import Follower
from domain.operation_events import OperationEvent
from domain.refusal import Refusal
from projections import outputs
from runners.hosts.outcomes import LocalFailure, NoLongerOurs, retry_until_available
from runners.leases.ownership import SINGLE_PROCESS, HostsOf, Ownership, ShardSet
from runners.operations import host_step
from runners.operations.host_driver import ACTOR, HostDriver
from runners.scheduling.protocols import Writes
from runners.scheduling.work_queue import Priority, Requeue, WorkQueue

LOG_RETRY_S = 1.0
LOOK_AGAIN_S = 10.0
"""An operation is looked at so often, though nothing was heard of it."""
BLOCKED_LOOK_S = 1.0
"""The same for one that waits for members to become available."""
PURGE_EVERY_S = 3600.0

PURGE = "purge"


class EventLog(host_step.EventLog, Protocol):
    """What the log says."""

    async def unfinished(self) -> Sequence[str]:
        """The ids of operations that are not over."""
        ...


class OperationDriver:
    """`parallel` hosts are worked on at once, over all operations; `kept_s`: how long the output
    of steps is kept. `now()` gives the time for events."""

    def __init__(
        self,
        writer: Writes,
        log: EventLog,
        steps: HostDriver,
        *,
        parallel: int,
        kept_s: float,
        now: Callable[[], str],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._writer = writer
        self._log = log
        self._steps = steps
        self._kept_s = kept_s
        self._now = now
        self._ownership = ownership
        self._queue = WorkQueue(self._tick, parallel)
        self._in_hand: set[str] = set()
        """Keys of hosts that are being worked on, or wait for their time."""

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        async with self._queue.running(), self._ownership.subscribe(self._take_over, self._drop):
            self._queue.enqueue_after(LOOK_AGAIN_S, PURGE)
            async for batch in follower.batches():
                for recorded in batch:
                    self._notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin nothing, and let what is under way come to the next point that is recorded."""
        await self._queue.drain(timeout_s)

    async def _take_over(self, shards: ShardSet) -> None:
        for name in await retry_until_available(self._log.unfinished):
            self._queue.enqueue(name)  # which finds its hosts of this part

    def _drop(self, shards: ShardSet) -> None:
        gone = HostsOf(shards)
        self._queue.forget_those(gone)
        self._in_hand = {key for key in self._in_hand if key not in gone}
        self._steps.forget_those(shards)

    def _notice(self, recorded: Recorded) -> None:
        event = recorded.event
        if not isinstance(event, OperationEvent):
            return
        name = event.originator_id.partition("/")[2]
        match event:
            case events.HostStarted() | events.StepDone():
                self._take_in_hand(name, event.address)
            case events.StepSent() | events.RebootRequested() | events.Paused():
                pass  # nothing follows from these
            case events.Ended():
                self._steps.cancelling.discard(name)
            case events.CancelRequested():
                self._steps.cancelling.add(name)
                self._queue.enqueue(name)
            case _:
                self._queue.enqueue(name)

    def _take_in_hand(self, name: str, address: str) -> None:
        if not self._ownership.holds(address):
            return
        key = f"{name} {address}"
        self._in_hand.add(key)
        self._queue.enqueue(key)

    async def _tick(self, key: str) -> Requeue | None:
        name, _, address = key.partition(" ")
        try:
            if key == PURGE:
                return await self._purge()
            if not address:
                return await self._advance(name)
            again = await self._steps.tick(name, address)
        # The log is away, or went on without us: what was found is found again.
        except (NoLongerOurs, LocalFailure, Refusal, PersistenceError):
            return Requeue(LOG_RETRY_S, Priority.CONTINUED)
        if again is None:
            self._in_hand.discard(key)
        return again

    async def _advance(self, name: str) -> Requeue | None:
        """Let the operation do what it may, and see that each host in process is in hand."""
        blocked = False
        if self._ownership.holds(name):
            act = Act(ACTOR, f"operation/{name}", self._now())
            advance = self._ownership.fenced(
                name, lambda unit: operation_commands.advance(unit, name)
            )
            wait = await self._writer.perform(act, advance)
            if wait is None:
                return None
            blocked = wait.seconds is not None
        operation = await self._log.operation(name)
        if operation.is_over:
            return None
        cancelling = operation.state == "cancelling"
        if cancelling:
            self._steps.cancelling.add(name)
        for address in operation.with_outcome("in_process"):
            if cancelling or f"{name} {address}" not in self._in_hand:
                self._take_in_hand(name, address)
        return Requeue(BLOCKED_LOOK_S if blocked else LOOK_AGAIN_S, Priority.CONTINUED)

    async def _purge(self) -> Requeue:
        """Delete output that has been kept long enough; one process does."""
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
