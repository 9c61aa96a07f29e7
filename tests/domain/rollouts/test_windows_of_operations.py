"""An operation keeps to its window: outside it no host is started, and it says so."""

from typing import Any

import pytest

from domain.aggregates.operation import OperationRequest
from domain.aggregates.operation_events import Ended, HostDone, HostStarted, Waits, WaveStarted
from domain.aggregates.planning.window import Hours, Released, TakenUp
from domain.aggregates.rolling_policy import checked_options
from domain.commands import investigation, operation_commands, schedule_commands
from domain.commands.investigation import Subject
from domain.event import Act, Event, shifted
from domain.refusal import Refusal
from tests.domain.aggregates.test_operations import cluster_of
from tests.domain.memory_unit import FACTS, MemoryUnit

HOSTS = [f"10.0.0.{number}" for number in range(1, 4)]
OPENS = "2026-01-02T22:00:00.000000"
HOUR_S = 3600.0
NIGHTS = Hours("UTC", "0 22 * * *", int(HOUR_S))
TOMORROW = shifted(OPENS, 24 * HOUR_S)


def happened(unit: MemoryUnit) -> list[Event]:
    """All that happened since it was asked last, but in the cluster."""
    return [event for subject, event in unit.did() if not subject.startswith("cluster/")]


class Night:
    """An upgrade of three hosts, one at a time, that keeps to a window."""

    def __init__(self, at: str, **options: Any) -> None:
        self.at = at
        self.unit = cluster_of(*HOSTS)
        self.define(NIGHTS)
        self.request = OperationRequest(
            "upgrade", "web", "", checked_options("upgrade", {"window": "nights"} | options)
        )

    def begin(self) -> "Night":
        """As somebody asks for it."""
        happened(self.unit)
        self.do(operation_commands.start, "1", self.request)
        self.do(operation_commands.advance, "1")
        return self

    def define(self, hours: Hours) -> None:
        """The window is moved."""
        self.do(lambda unit: unit.window("nights").define(hours))

    def do(self, command: Any, *args: Any) -> Any:
        """Carry out a command now."""
        self.unit.act = Act("ada", "test", self.at)
        return command(self.unit, *args)

    def look(self, at: str) -> list[Event]:
        """What the runner does at a time."""
        happened(self.unit)
        self.at = at
        self.do(operation_commands.advance, "1")
        return happened(self.unit)

    def end(self, number: int) -> list[Event]:
        """A host is done."""
        happened(self.unit)
        self.do(operation_commands.finish_step, "1", f"10.0.0.{number}", "upgrade", {})
        return happened(self.unit)


def closed(until: str | None) -> Waits:
    """What is told of it."""
    return Waits("window", until, "Its window nights is closed.")


def test_outside_its_window_it_starts_no_host_and_says_until_when() -> None:
    night = Night(shifted(OPENS, -60.0)).begin()
    assert happened(night.unit)[-1] == closed(OPENS)
    assert night.look(shifted(OPENS, -0.001)) == []
    assert night.look(OPENS) == [HostStarted(HOSTS[0])]


def test_those_in_process_finish_when_it_closes_and_the_next_waits_for_tomorrow() -> None:
    night = Night(OPENS).begin()
    assert happened(night.unit)[-1] == HostStarted(HOSTS[0])
    night.at = shifted(OPENS, HOUR_S)
    assert night.end(1) == [HostDone(HOSTS[0], {}), closed(TOMORROW)]
    assert night.look(shifted(TOMORROW, 5.0)) == [HostStarted(HOSTS[1])]
    night.end(2)
    night.at = shifted(TOMORROW, HOUR_S - 1.0)
    assert [type(event) for event in night.end(3)] == [HostDone, Ended, Released]


def test_a_wave_whose_soak_is_over_outside_the_window_begins_when_it_opens_if_all_are_well() -> (
    None
):
    night = Night(OPENS, waves=[{"hosts": 1, "soak_s": HOUR_S}]).begin()
    night.at = shifted(OPENS, 60.0)
    night.end(1)
    after = shifted(OPENS, 2 * HOUR_S)
    assert night.look(after) == [closed(TOMORROW)], "the wave has not begun"
    canary = Subject(HOSTS[0], night.unit.host(HOSTS[0]).incarnation)
    night.do(investigation.fail, canary, "unreachable", "It is off.")
    assert night.look(TOMORROW) == [], "a canary that failed in the night stops what is behind it"
    assert night.unit.operation("1").told.what == "soak"
    assert night.unit.operation("1").count("in_process") == 0
    night.do(lambda unit: unit.host(HOSTS[0]).gather_facts(FACTS))
    soaked = shifted(TOMORROW, HOUR_S)
    assert night.look(TOMORROW)[-1] == Waits("soak", soaked, "Wave 1 is over, and soaks.")
    night.define(Hours("UTC", "0 * * * *", 1800))
    assert night.look(soaked) == [WaveStarted(2), HostStarted(HOSTS[1])]


@pytest.mark.parametrize("when", [{}, {"window": "", "starts_at": OPENS}])
def test_members_that_are_away_before_its_time_do_not_end_it(when: dict[str, str]) -> None:
    night = Night(shifted(OPENS, -12 * HOUR_S), max_unavailable=1, **when).begin()
    away = Subject(HOSTS[2], night.unit.host(HOSTS[2]).incarnation)
    night.do(investigation.fail, away, "unreachable", "It is off.")
    for hours in (-11.0, -5.0):
        assert night.look(shifted(OPENS, hours * HOUR_S)) == [], "it waits for its time, as before"
    (told,) = night.look(OPENS)
    ten_minutes = shifted(OPENS, 600.0)
    assert told == Waits("members", ten_minutes, "It waits for unavailable members to come back.")
    night.do(lambda unit: unit.host(HOSTS[2]).gather_facts(FACTS))
    assert night.look(ten_minutes) == [HostStarted(HOSTS[0])]


def test_short_windows_do_not_make_the_wait_for_members_endless() -> None:
    night = Night(OPENS, max_unavailable=1)
    night.define(Hours("UTC", "0 * * * *", 240))
    away = Subject(HOSTS[2], night.unit.host(HOSTS[2]).incarnation)
    night.do(investigation.fail, away, "unreachable", "It is off.")
    night.begin()
    for hour in range(2):
        closes = shifted(OPENS, hour * HOUR_S + 240.0)
        assert night.look(closes) == [closed(shifted(OPENS, (hour + 1) * HOUR_S))]
        night.look(shifted(OPENS, (hour + 1) * HOUR_S))
    last = shifted(OPENS, 2 * HOUR_S + 120.0)
    assert night.unit.operation("1").told.until == last, "ten minutes, of three windows"
    assert isinstance(night.look(last)[0], Ended)


def test_a_wave_of_nobody_begins_and_soaks_outside_the_window() -> None:
    night = Night(OPENS, waves=[{"hosts": 1}, {"hosts": 1, "soak_s": HOUR_S}]).begin()
    night.at = shifted(OPENS, HOUR_S)
    events = night.end(1)
    assert WaveStarted(2) in events
    assert events[-1] == Waits("soak", shifted(night.at, HOUR_S), "Wave 2 is over, and soaks.")
    assert night.look(shifted(night.at, HOUR_S)) == [closed(TOMORROW)]


def test_a_window_that_is_moved_is_moved_for_who_waits_and_cannot_be_removed() -> None:
    night = Night(shifted(OPENS, -2 * HOUR_S)).begin()
    night.define(Hours("UTC", "30 23 * * *", 600))
    assert night.look(night.at) == [closed("2026-01-02T23:30:00.000000")]
    with pytest.raises(Refusal) as refused:
        night.do(lambda unit: unit.window("nights").remove())
    assert refused.value.sentence == "Window nights is used by: operation 1."
    night.define(Hours("UTC", "* * * * *", 60))
    assert night.look(night.at) == [HostStarted(HOSTS[0])]
    night.do(operation_commands.steer, "1", "cancelled")
    night.do(operation_commands.fail_host, "1", HOSTS[0], "upgrade", "It was stopped.", {})
    night.do(lambda unit: unit.window("nights").remove())


def test_a_window_that_opens_no_more_is_waited_for_without_an_end() -> None:
    night = Night("9999-12-31T23:30:00.000000").begin()
    assert happened(night.unit)[-1] == closed(None)


def test_an_operation_takes_it_up_and_so_does_its_retry() -> None:
    night = Night(OPENS).begin()
    assert TakenUp("operation/1") in happened(night.unit)
    night.do(operation_commands.fail_host, "1", HOSTS[0], "upgrade", "It broke.", {})
    assert Released("operation/1") in happened(night.unit)
    night.at = shifted(OPENS, 2 * HOUR_S)
    night.do(operation_commands.retry, "2", "1")
    night.do(operation_commands.advance, "2")
    told = happened(night.unit)
    assert TakenUp("operation/2") in told
    assert told[-1] == closed(TOMORROW)


@pytest.mark.parametrize("command", [operation_commands.plan, operation_commands.start])
def test_a_window_that_is_not_there_is_refused_also_in_a_plan(command: Any) -> None:
    night = Night(OPENS, window="weekends")
    args = ("1",) if command is operation_commands.start else ()
    with pytest.raises(Refusal) as refused:
        night.do(command, *args, night.request)
    assert (refused.value.kind, refused.value.key) == ("conflict", "window")


def test_a_schedule_takes_it_up_until_it_names_another_or_goes() -> None:
    night = Night(OPENS)
    night.do(lambda unit: unit.window("days").define(NIGHTS))
    body = {"kind": "upgrade", "cluster": "web"}
    happened(night.unit)

    def define(**more: Any) -> list[Event]:
        night.do(schedule_commands.define, "sundays", "0 2 * * 0", "UTC", body | more)
        return [event for event in happened(night.unit) if event.TOPIC.startswith("window.")]

    assert define() == []
    assert define(window="nights") == [TakenUp("schedule/sundays")]
    assert define(window="nights", max_parallel=2) == []
    assert define(window="days") == [Released("schedule/sundays"), TakenUp("schedule/sundays")]
    night.do(schedule_commands.remove, "sundays")
    assert Released("schedule/sundays") in happened(night.unit)
    with pytest.raises(Refusal) as refused:
        define(window="weekends")
    assert (refused.value.kind, refused.value.key) == ("conflict", "operation.window")
