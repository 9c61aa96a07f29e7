"""A schedule: each firing once, whatever clocks and crashes do; what is too late begins nothing."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, cast

import pytest

from domain.aggregates.planning.firings import firings
from domain.aggregates.planning.schedule import LATE_S_MAX, Schedule
from domain.aggregates.planning.schedule_events import (
    AnyScheduleEvent,
    Defined,
    Fired,
    Missed,
    NotBegun,
    Removed,
    SetBack,
)
from domain.commands import schedule_commands
from domain.event import Act, Event, shifted
from domain.refusal import Refusal, conflict
from tests.domain.given import given

UPGRADE = {"kind": "upgrade", "cluster": "web"}
DEFINED = Defined("0 2 * * 0", "Europe/Berlin", UPGRADE)
BEGINNING = "2026-01-02T03:04:05.000006"
"""A Friday: when `given` has all happen."""
SUNDAY, NEXT_SUNDAY = "2026-01-04T01:00:00.000000", "2026-01-11T01:00:00.000000"


class Planned:
    """One schedule, and operations that begin or do not, at a clock that is set."""

    def __init__(self, cron: str = "0 2 * * 0", zone: str = "Europe/Berlin") -> None:
        self.subject = Schedule("sundays")
        self.clock = BEGINNING
        self.begun: list[str] = []
        self.obstacle = ""
        self.schedule("").define(cron, zone, dict(UPGRADE))
        self.history: list[Event] = list(self.subject.pending)

    def schedule(self, name: str) -> Schedule:
        """The unit's: all happens by the clock."""
        self.subject.act = Act("runner:schedules", "schedule/sundays", self.clock)
        self.subject.pending = []
        return self.subject

    def replayed(self) -> Schedule:
        """As the log has it."""
        return Schedule.replay("sundays", cast(list[AnyScheduleEvent], self.history))

    def begin(self, operation: Mapping[str, Any], name: str) -> str:
        """An operation begins, unless something is in the way."""
        if self.obstacle:
            raise conflict(self.obstacle)
        return name

    def look(self, *, killed: bool = False) -> list[Event]:
        """Somebody looks, and may be killed before what was decided is stored."""
        name = f"operation-{len(self.begun)}"
        try:
            began = schedule_commands.fire(self, "sundays", name, self.begin)
        except Refusal as refusal:
            self.subject = self.replayed()
            schedule_commands.give_up(self, "sundays", refusal.sentence)
            began = False
        made = list(self.subject.pending)
        if killed:
            self.subject = self.replayed()
            return []
        if began:
            self.begun.append(name)
        self.history += made
        return made


@pytest.fixture
def planned() -> Planned:
    return Planned()


def test_it_fires_when_it_is_due_and_once(planned: Planned) -> None:
    planned.clock = shifted(SUNDAY, -0.000001)
    assert planned.look() == []
    planned.clock = SUNDAY
    assert planned.look() == [Fired(SUNDAY, "operation-0")]
    for seconds in (0, 0.5, 60, 3600):
        planned.clock = shifted(SUNDAY, seconds)
        assert planned.look() == []
    planned.clock = NEXT_SUNDAY
    assert planned.look() == [Fired(NEXT_SUNDAY, "operation-1")]


def test_a_crash_before_it_is_stored_fires_it_again_and_one_after_does_not(
    planned: Planned,
) -> None:
    planned.clock = shifted(SUNDAY, 1)
    assert planned.look(killed=True) == []
    planned.clock = shifted(SUNDAY, 20)
    assert planned.look() == [Fired(SUNDAY, "operation-0")]
    planned.subject = planned.replayed()
    assert planned.look() == []


def test_a_clock_that_is_set_back_fires_nothing_again(planned: Planned) -> None:
    planned.clock = shifted(SUNDAY, 1)
    assert len(planned.look()) == 1
    for seconds in (-10, -3000, -7200, -5 * 24 * 3600, 0, 2):
        planned.clock = shifted(SUNDAY, seconds)
        assert not [event for event in planned.look() if isinstance(event, Fired)]
    planned.clock = NEXT_SUNDAY
    assert planned.look() == [Fired(NEXT_SUNDAY, "operation-1")]


def test_a_clock_that_was_years_ahead_does_not_keep_it_from_firing(planned: Planned) -> None:
    planned.clock = "2031-01-02T03:04:05.000006"
    made = planned.look()
    assert [type(event) for event in made] == [Missed]
    planned.clock = BEGINNING
    assert planned.look() == [SetBack(BEGINNING)]
    planned.clock = SUNDAY
    assert planned.look() == [Fired(SUNDAY, "operation-0")]


@pytest.mark.parametrize(("late_s", "fires"), [(LATE_S_MAX, True), (LATE_S_MAX + 1, False)])
def test_what_is_too_late_is_told_and_begins_nothing(
    planned: Planned, late_s: float, fires: bool
) -> None:
    planned.clock = shifted(SUNDAY, late_s)
    expected = Fired(SUNDAY, "operation-0") if fires else Missed(SUNDAY, SUNDAY, 1)
    assert planned.look() == [expected]
    assert planned.look() == []
    assert len(planned.begun) == fires


def test_of_several_that_are_due_the_last_fires_and_the_others_are_missed(
    planned: Planned,
) -> None:
    planned.clock = shifted("2026-01-25T01:00:00.000000", 3)
    assert planned.look() == [
        Missed(SUNDAY, "2026-01-18T01:00:00.000000", 3),
        Fired("2026-01-25T01:00:00.000000", "operation-0"),
    ]


def test_a_long_absence_is_dealt_with_a_thousand_at_a_time() -> None:
    planned = Planned("* * * * *", "UTC")
    planned.clock = shifted(BEGINNING, 2500 * 60)
    counts = []
    while made := planned.look():
        counts += [event.count for event in made if isinstance(event, Missed)]
    assert sum(counts) == 2499
    assert max(counts) == 1000
    assert len(planned.begun) == 1


def test_an_operation_that_cannot_begin_is_told_with_its_reason(planned: Planned) -> None:
    planned.obstacle = "A different operation is in process on cluster web."
    planned.clock = SUNDAY
    assert planned.look() == [NotBegun(SUNDAY, planned.obstacle)]
    planned.obstacle = ""
    assert planned.look() == []
    planned.clock = NEXT_SUNDAY
    assert planned.look() == [Fired(NEXT_SUNDAY, "operation-0")]


def test_an_operation_that_is_in_process_already_counts_once(planned: Planned) -> None:
    planned.clock = SUNDAY
    with pytest.raises(Refusal) as refused:
        schedule_commands.fire(planned, "sundays", "new", lambda operation, name: "the one before")
    assert refused.value.sentence == "The same operation is in process already: the one before."


def judge(planned: Planned) -> None:
    """No firing has begun two operations, and none was begun by no firing."""
    fired = Counter(event.due for event in planned.history if isinstance(event, Fired))
    assert all(count == 1 for count in fired.values()), "a firing began two operations"
    assert sorted(fired.values()) == [1] * len(planned.begun)


def forgets(schedule: Schedule) -> str | None:
    """What is due, and whether it was dealt with before does not matter."""
    since = shifted(schedule.act.at, -LATE_S_MAX)
    due = list(islice(firings(schedule.cron, schedule.zone, since), 100))
    return max((time for time in due if time <= schedule.act.at), default=None)


def test_the_judge_sees_a_firing_that_begins_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schedule, "catch_up", forgets)
    planned = Planned("*/5 * * * *", "UTC")
    for _ in range(20):
        planned.clock = shifted(planned.clock, 40.0)
        planned.look()
    with pytest.raises(AssertionError, match="began two operations"):
        judge(planned)


@pytest.mark.parametrize("seed", range(25))
def test_in_any_story_of_crashes_and_clocks_no_firing_begins_two_operations(seed: int) -> None:
    chance = random.Random(seed)
    cron = chance.choice(["*/5 * * * *", "0 * * * *", "30 2 * * *", "0 2 * * 0"])
    zone = chance.choice(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
    planned = Planned(cron, zone)
    planned.clock = chance.choice([BEGINNING, "2026-03-28T23:00:00.000000"])
    for _ in range(80):
        jump = chance.choice([20.0, 20.0, 60.0, 300.0, 3600.0, 86400.0, -5.0, -3000.0, -90000.0])
        planned.clock = shifted(planned.clock, jump * chance.random())
        planned.obstacle = chance.choice(["", "", "", "Something is in the way."])
        planned.look(killed=chance.random() < 0.2)
    judge(planned)
    assert planned.replayed().handled == planned.subject.handled


def dealt_with(history: Sequence[Event]) -> int:
    """How many firings were begun, refused or missed."""
    count = 0
    for event in history:
        match event:
            case Fired() | NotBegun():
                count += 1
            case Missed():
                count += event.count
            case _:
                pass
    return count


@pytest.mark.parametrize("seed", range(10))
def test_with_a_steady_clock_each_firing_is_dealt_with_once(seed: int) -> None:
    chance = random.Random(seed)
    planned, steady = (Planned("*/7 * * * *", "Europe/Berlin") for _ in range(2))
    for _ in range(100):
        planned.clock = shifted(planned.clock, chance.choice([10.0, 60.0, 400.0, 4000.0]))
        planned.obstacle = chance.choice(["", "", "Something is in the way."])
        planned.look(killed=chance.random() < 0.2)
    planned.look()
    steady.clock = planned.clock
    steady.look()
    assert dealt_with(planned.history) == dealt_with(steady.history)


def test_it_is_defined_changed_and_the_same_again_is_no_news() -> None:
    given(Schedule, "sundays").when(Schedule.define, "0 2 * * 0", "Europe/Berlin", UPGRADE).then(
        DEFINED
    )
    given(Schedule, "sundays", DEFINED).when(
        Schedule.define, "0 2 * * 0", "Europe/Berlin", dict(UPGRADE)
    ).then()
    given(Schedule, "sundays", DEFINED).when(Schedule.define, "0 3 * * 0", "UTC", UPGRADE).then(
        Defined("0 3 * * 0", "UTC", UPGRADE)
    )


def test_its_cluster_stays() -> None:
    other = {"kind": "upgrade", "cluster": "db"}
    given(Schedule, "sundays", DEFINED).when(Schedule.define, "0 2 * * 0", "UTC", other).refuses(
        "conflict", "operation"
    )
    given(Schedule, "sundays", DEFINED, Removed()).when(
        Schedule.define, "0 2 * * 0", "UTC", other
    ).then(Defined("0 2 * * 0", "UTC", other))


def test_one_that_is_gone_fires_no_more(planned: Planned) -> None:
    given(Schedule, "sundays", DEFINED).when(Schedule.remove).then(Removed())
    given(Schedule, "sundays").when(Schedule.remove).refuses("not_found")
    planned.schedule("").remove()
    planned.history += planned.subject.pending
    planned.clock = SUNDAY
    assert planned.look() == []
