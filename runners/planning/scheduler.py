"""Begins the operation of each schedule when it is due.

What is due is decided in the transaction that begins the operation, from what the schedule's
stream says was dealt with: so it is begun once, though several processes look, one is killed
between two of them, or the clock jumps. This only sees to it that somebody looks in time.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from domain.aggregates.planning.firings import firings
from domain.aggregates.planning.schedule import AHEAD_S_MAX
from domain.aggregates.planning.schedule_events import Defined
from domain.commands import operation_commands, schedule_commands
from domain.event import Act, Recorded, seconds_between, shifted
from domain.log.unit import Unit
from domain.refusal import Kind, Refusal, invalid
from projections.planning.schedules import Timing
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.process_manager import Due, ProcessManager
from runners.scheduling.protocols import Writes
from runners.scheduling.work_queue import Priority, Requeue
from web.http.problems import Problem
from web.resources.planning.schedules import parsed

ACTOR = "runner:schedules"
PARALLEL = 4
LOOK_EVERY_S = 20.0
"""The clock is looked at so often at least: it may be set."""
PAUSE_S_MIN = 0.01
PREFIX = "schedule/"
PASSING: tuple[Kind, ...] = ("unavailable", "storage_full")
"""Refusals that say nothing of the operation: the firing is tried again."""


class Schedules(Protocol):
    """What is known of schedules; see `runners.service.fleet_reader`."""

    async def schedules(self) -> Iterable[str]: ...

    async def timing(self, name: str) -> Timing | None: ...


# Any: plain JSON.
def begin(unit: Unit, operation: Mapping[str, Any], name: str) -> str:
    """Begin what the body of a `POST /operations` asks for, as of now."""
    try:
        asked = parsed(operation)
    except Problem as problem:
        raise invalid(problem.detail) from None  # an older version took it
    return operation_commands.start(unit, name, asked.request, asked.matching(unit))


class Scheduler(ProcessManager):
    """`now()` gives the time, `new_id()` the id of an operation. Keys are `schedule/NAME`."""

    def __init__(
        self,
        writer: Writes,
        known: Schedules,
        *,
        now: Callable[[], str],
        new_id: Callable[[], str],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        super().__init__(PARALLEL, ownership=ownership)
        self._writer = writer
        self._known = known
        self._now = now
        self._new_id = new_id

    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """All schedules: some may have been due meanwhile."""
        keys = [f"{PREFIX}{name}" for name in await self._known.schedules()]
        return [Due(key) for key in keys if self.owns(key, shards)]

    def notice(self, recorded: Recorded) -> None:
        """A schedule that is new, or another by now, may be due before anybody would look."""
        event = recorded.event
        if isinstance(event, Defined) and self._ownership.holds(event.originator_id):
            self._queue.enqueue(event.originator_id)

    async def tick(self, key: str) -> Requeue | None:
        """Begin what is due, and come back when the next is."""
        name = key.removeprefix(PREFIX)
        timing = await self._known.timing(name)
        if timing is None or not self._ownership.holds(key):
            return None
        now = self._now()
        following = next(firings(timing.cron, timing.zone, timing.handled), None)
        is_ahead = timing.handled > shifted(now, AHEAD_S_MAX)
        if is_ahead or (following is not None and following <= now):
            await self._fire(key, name, now)
            return Requeue(PAUSE_S_MIN, Priority.CONTINUED)
        left_s = seconds_between(now, following) if following else LOOK_EVERY_S
        return Requeue(max(PAUSE_S_MIN, min(left_s, LOOK_EVERY_S)), Priority.CONTINUED)

    async def _fire(self, key: str, name: str, now: str) -> None:
        act = Act(ACTOR, key, now)
        operation = self._new_id()

        def fire(unit: Unit) -> None:
            schedule_commands.fire(
                unit, name, operation, lambda body, fresh: begin(unit, body, fresh)
            )

        try:
            await self._writer.perform(act, self._ownership.fenced(key, fire))
        except Refusal as refusal:
            if refusal.kind in PASSING:
                raise
            why = refusal.sentence
            give_up = self._ownership.fenced(
                key, lambda unit: schedule_commands.give_up(unit, name, why)
            )
            await self._writer.perform(act, give_up)
