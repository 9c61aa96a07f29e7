"""The process manager of rolling operations: kill it anywhere, start it again, and they go on.

What is not over is read from the log at the start, and followed from then on. Which host is next
is decided in the transaction that says so (`domain.operations.advance`); what its steps are is
done by `runners.rolling_host`. Of several processes one lets an operation go on, and each works on
those of its hosts that are its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from eventsourcing.persistence import PersistenceError

from domain import operation_events as events
from domain import operations
from domain.event import TIME_FORMAT, Act, Recorded
from domain.log.follower import Follower
from domain.operation_events import OperationEvent
from domain.refusal import Refusal
from projections import outputs
from runners import rolling_task
from runners.claims import ALONE, Claims, Part
from runners.findings import Abandoned, CannotLook, once_it_answers
from runners.rolling_host import ACTOR, HostSteps
from runners.rolling_task import Writes
from runners.wakeups import Again, Lane, Wakeups

LOG_RETRY_S = 1.0
LOOK_AGAIN_S = 10.0
"""An operation is looked at so often, though nothing was heard of it."""
BLOCKED_LOOK_S = 1.0
"""The same for one that waits for members to become available."""
PURGE_EVERY_S = 3600.0

PURGE = "purge"


@dataclass(frozen=True)
class HostsOf:
    """Keys of hosts in operations, of a part of all hosts."""

    part: Part

    def __contains__(self, key: object) -> bool:
        _, of_a_host, address = str(key).partition(" ")
        return bool(of_a_host) and address in self.part


class Log(rolling_task.Log, Protocol):
    """What the log says."""

    async def unfinished(self) -> Sequence[str]:
        """The ids of operations that are not over."""
        ...


class Rolling:
    """`parallel` hosts are worked on at once, over all operations; `kept_s`: how long the output
    of steps is kept. `now()` gives the time for events."""

    def __init__(
        self,
        writer: Writes,
        log: Log,
        steps: HostSteps,
        *,
        parallel: int,
        kept_s: float,
        now: Callable[[], str],
        claims: Claims = ALONE,
    ) -> None:
        self._writer = writer
        self._log = log
        self._steps = steps
        self._kept_s = kept_s
        self._now = now
        self._claims = claims
        self._wakeups = Wakeups(self._tick, parallel)
        self._in_hand: set[str] = set()
        """Keys of hosts that are being worked on, or wait for their time."""

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        async with self._wakeups.running(), self._claims.told(self._take_over, self._drop):
            self._wakeups.within(LOOK_AGAIN_S, PURGE)
            async for batch in follower.batches():
                for recorded in batch:
                    self._notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin nothing, and let what is under way come to the next point that is recorded."""
        await self._wakeups.drain(timeout_s)

    async def _take_over(self, part: Part) -> None:
        for name in await once_it_answers(self._log.unfinished):
            self._wakeups.at_once(name)  # which finds its hosts of this part

    def _drop(self, part: Part) -> None:
        gone = HostsOf(part)
        self._wakeups.forget_those(gone)
        self._in_hand = {key for key in self._in_hand if key not in gone}
        self._steps.forget_those(part)

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
                self._steps.hurried.discard(name)
            case events.CancelRequested():
                self._steps.hurried.add(name)
                self._wakeups.at_once(name)
            case _:
                self._wakeups.at_once(name)

    def _take_in_hand(self, name: str, address: str) -> None:
        if not self._claims.holds(address):
            return
        key = f"{name} {address}"
        self._in_hand.add(key)
        self._wakeups.at_once(key)

    async def _tick(self, key: str) -> Again | None:
        name, _, address = key.partition(" ")
        try:
            if key == PURGE:
                return await self._purge()
            if not address:
                return await self._advance(name)
            again = await self._steps.tick(name, address)
        # The log is away, or went on without us: what was found is found again.
        except (Abandoned, CannotLook, Refusal, PersistenceError):
            return Again(LOG_RETRY_S, Lane.UNFINISHED)
        if again is None:
            self._in_hand.discard(key)
        return again

    async def _advance(self, name: str) -> Again | None:
        """Let the operation do what it may, and see that each host in process is in hand."""
        blocked = False
        if self._claims.holds(name):
            act = Act(ACTOR, f"operation/{name}", self._now())
            advance = self._claims.fenced(name, lambda unit: operations.advance(unit, name))
            wait = await self._writer.perform(act, advance)
            if wait is None:
                return None
            blocked = wait.seconds is not None
        operation = await self._log.operation(name)
        if operation.is_over:
            return None
        cancelling = operation.state == "cancelling"
        if cancelling:
            self._steps.hurried.add(name)
        for address in operation.those("in_process"):
            if cancelling or f"{name} {address}" not in self._in_hand:
                self._take_in_hand(name, address)
        return Again(BLOCKED_LOOK_S if blocked else LOOK_AGAIN_S, Lane.UNFINISHED)

    async def _purge(self) -> Again:
        """Delete output that has been kept long enough; one process does."""
        if not self._claims.holds(PURGE):
            return Again(PURGE_EVERY_S, Lane.REPEATED)
        at = self._now()
        before = datetime.fromisoformat(at) - timedelta(seconds=self._kept_s)
        oldest = before.strftime(TIME_FORMAT)
        await self._writer.perform(
            Act(ACTOR, "outputs", at),
            lambda unit: unit.also(lambda tx: outputs.purge(tx, oldest)),
        )
        return Again(PURGE_EVERY_S, Lane.REPEATED)
