"""A schedule begins an operation whenever its cron fires.

defined → removed. Who defines it again changes it, and counts from then on. Each time that it is
due it fires once, whoever looks and however often: what was due and is dealt with is in its stream.
A firing that comes too late is missed, and begins nothing; so are all but the last of several.
"""

from collections.abc import Mapping
from itertools import islice, takewhile
from typing import Any, Literal, assert_never

from domain.aggregate import Aggregate
from domain.aggregates.planning.firings import firings
from domain.aggregates.planning.schedule_events import (
    AnyScheduleEvent,
    Defined,
    Fired,
    Missed,
    NotBegun,
    Removed,
    SetBack,
)
from domain.event import shifted
from domain.refusal import conflict, not_found

State = Literal["", "defined"]

NEXT: dict[State, frozenset[State]] = {
    "": frozenset({"defined"}),
    "defined": frozenset({"", "defined"}),
}
"""The life cycle: which state follows which. "" is a schedule that does not exist."""

LATE_S_MAX = 300.0
"""What was due longer ago than this begins nothing any more."""
AHEAD_S_MAX = 3600.0
"""So far may the clock be behind what was dealt with: further, and it had been ahead."""
DUE_MAX = 1000
"""So many that were due are dealt with at once; the others right afterwards."""
REMEMBERED = 1000
"""So many firings are remembered, for a clock that was ahead."""


class Schedule(Aggregate[AnyScheduleEvent]):
    """A named schedule."""

    KIND = "schedule"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.state: State = ""
        self.cron = ""
        self.zone = ""
        self.operation: Mapping[str, Any] = {}
        self.handled = ""
        """All that was due up to this time has been dealt with."""
        self._fired: dict[str, None] = {}
        self._defined_by = ""
        self._behind: dict[str, str] = {}

    @property
    def exists(self) -> bool:
        """Whether it was defined, and not removed since."""
        return self.state != ""

    @property
    def cluster(self) -> str:
        """The cluster that it acts on."""
        return str(self.operation["cluster"]) if self.exists else ""

    @property
    def window(self) -> str:
        """The window that its operations keep to; "" is none."""
        return str(self.operation.get("window") or "") if self.exists else ""

    def behind(self, operation: str) -> str:
        """Who had defined it as it was when it began an operation; "" is not known any more."""
        return self._behind.get(operation, "")

    def must_exist(self) -> None:
        """Refuse what is asked of a schedule that does not exist."""
        if not self.exists:
            raise not_found(f"There is no schedule {self.name}: define it with PUT first.")

    # Commands

    def define(self, cron: str, zone: str, operation: dict[str, Any]) -> None:
        """Let it be like this; the same again is no event. Its cluster stays."""
        if self.exists and operation["cluster"] != self.cluster:
            raise conflict(
                f"Schedule {self.name} is of cluster {self.cluster}: remove it first.", "operation"
            )
        if not self.exists or (cron, zone, operation) != (self.cron, self.zone, self.operation):
            self.emit(Defined(cron, zone, operation))

    def remove(self) -> None:
        """Let it fire no more."""
        self.must_exist()
        self.emit(Removed())

    def catch_up(self) -> str | None:
        """Deal with what was due and is missed; gives the firing that is to begin now, if any."""
        now = self.act.at
        if self.handled > shifted(now, AHEAD_S_MAX):
            self.emit(SetBack(now))
        due = takewhile(lambda time: time <= now, firings(self.cron, self.zone, self.handled))
        looked_at = list(islice(due, DUE_MAX))
        past = [time for time in looked_at if time not in self._fired]
        if looked_at and not past:
            self.emit(SetBack(looked_at[-1]))
        begins = past[-1] if past and past[-1] >= shifted(now, -LATE_S_MAX) else None
        missed = past[:-1] if begins else past
        if missed:
            self.emit(Missed(missed[0], missed[-1], len(missed)))
        return begins

    def fire(self, due: str, operation: str) -> None:
        """Record that it fired, and began this operation."""
        self.emit(Fired(due, operation))

    def begin_nothing(self, due: str, reason: str) -> None:
        """Record that it fired, and could not begin its operation."""
        self.emit(NotBegun(due, reason))

    # State

    def apply(self, event: AnyScheduleEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Defined():
                self._become("defined")
                self.cron, self.zone, self.operation = event.cron, event.zone, event.operation
                self.handled = event.at
                self._defined_by = event.actor
            case Fired():
                self.handled = event.due
                self._fired[event.due] = None
                self._behind[event.operation] = self._defined_by
                for kept in (self._fired, self._behind):
                    if len(kept) > REMEMBERED:
                        del kept[next(iter(kept))]
            case NotBegun() | Missed():
                self.handled = event.due
            case SetBack():
                self.handled = event.after
            case Removed():
                self._become("")
                self.handled = ""
            case _:
                assert_never(event)

    def _become(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise ValueError(f"{self.id} cannot go from {self.state!r} to {state!r}")
        self.state = state
