"""What must be so of a schedule, whatever befell the service and its clock."""

from itertools import takewhile

from domain.aggregates.operation_events import Started
from domain.aggregates.planning.firings import firings
from domain.aggregates.planning.schedule_events import Defined, Fired, Missed, NotBegun
from domain.event import Event, shifted
from tests.simulation.plans import SCHEDULE
from tests.simulation.stage import Told

LATE_S = 300.0
"""What was due longer ago than this may begin nothing any more, and is missed."""
BECAUSE = f"schedule/{SCHEDULE}"


class Dealt:
    """What was due, and what became of it."""

    def __init__(self) -> None:
        self.defined = Defined("", "", {})
        self.fired: dict[str, str] = {}
        """By when it was due: the operation."""
        self.spans: list[tuple[str, str]] = []
        """From when to when something was dealt with, since the schedule is as it is."""

    def is_dealt_with(self, due: str) -> bool:
        """Whether it is said what became of it."""
        return due in self.fired or any(first <= due <= last for first, last in self.spans)

    def due(self, after: str, until: str) -> list[str]:
        """When it is to fire."""
        cron, zone = self.defined.cron, self.defined.zone
        return list(takewhile(lambda due: due <= until, firings(cron, zone, after)))


def schedules_are_kept(told: Told) -> None:
    """Each firing begins one operation, in time; what was missed is said, and nothing is lost."""
    dealt = Dealt()
    happened = [event for _, event in told.timed]
    for number, event in enumerate(happened):
        match event:
            case Defined():
                dealt.defined, dealt.spans = event, []
            case Fired() | NotBegun():
                assert event.due not in dealt.fired, "it fired twice"
                late = shifted(event.at, -LATE_S)
                assert late <= event.due <= event.at, "it fired when it was not due"
                expected = dealt.due(shifted(event.due, -1.0), event.due)
                assert expected == [event.due], "it fired when its cron does not"
                dealt.spans.append((event.due, event.due))
                if isinstance(event, Fired):
                    dealt.fired[event.due] = event.operation
            case Missed():
                _was_missed(event, happened[number + 1 :])
                dealt.spans.append((event.first, event.due))
            case _:
                pass
    begun = [e for e in happened if isinstance(e, Started) and e.correlation == BECAUSE]
    ids = [event.originator_id.partition("/")[2] for event in begun]
    assert sorted(ids) == sorted(dealt.fired.values()), "an operation without a firing of its own"
    if dealt.defined.cron:
        until, _ = told.wall.shown(max(0.0, told.seconds - told.looked_s), told.seconds)
        for due in dealt.due(dealt.defined.at, until):
            assert dealt.is_dealt_with(due), f"nobody says what became of what was due at {due}"


def _was_missed(event: Missed, following: list[Event]) -> None:
    """It was too late for it, or another was due since."""
    if event.due < shifted(event.at, -LATE_S):
        return
    later = [each for each in following if isinstance(each, Fired | NotBegun)]
    assert later and later[0].at == event.at and later[0].due > event.due, "it was not missed"
