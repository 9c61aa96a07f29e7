"""Waves: who is in them, what stands between two, and what each wait is told as."""

from dataclasses import replace
from typing import Any

import pytest

from domain.aggregates.operation import Operation, OperationRequest
from domain.aggregates.operation_events import (
    HostUnwell,
    HostWell,
    Started,
    Waits,
    WaveStarted,
)
from domain.aggregates.rolling_policy import Options, checked_options
from domain.commands import investigation, operation_commands
from domain.commands.investigation import Subject
from domain.event import Act, shifted
from domain.refusal import Refusal
from domain.roles import Standing
from domain.rollouts.waves import checked_waves, in_waves
from tests.domain.aggregates.test_operations import cluster_of, happened
from tests.domain.memory_unit import FACTS

HOSTS = [f"10.0.0.{number}" for number in range(1, 6)]
BEGIN = "2026-01-02T03:00:00.000000"
SOAK_S = 600.0
CANARY: list[dict[str, Any]] = [{"hosts": 1, "soak_s": SOAK_S}]


class Rollout:
    """An operation over five hosts in waves, and what becomes of it."""

    def __init__(
        self,
        waves: list[dict[str, Any]],
        *,
        actor: str = "ada",
        owner: str = "",
        because: str = "test",
        **options: Any,
    ) -> None:
        self.at = BEGIN
        self.unit = cluster_of(*HOSTS)
        self.actor, self.because = actor, because
        if owner:
            token = self.unit.token(actor.removeprefix("token:"))
            token.create(Standing("operator"), owner=owner, expires="")
        wanted = checked_options("upgrade", {"max_parallel": 5, "waves": waves} | options)
        self.do(operation_commands.start, "1", OperationRequest("upgrade", "web", "", wanted))
        self.advance()

    def do(self, command: Any, *args: Any) -> Any:
        """Carry out a command now."""
        self.unit.act = Act(self.actor, self.because, self.at)
        return command(self.unit, *args)

    def pass_time(self, seconds: float) -> "Rollout":
        """Later; events so far are forgotten."""
        happened(self.unit)
        self.at = shifted(self.at, seconds)
        return self

    def advance(self) -> None:
        """The runner looks."""
        self.do(operation_commands.advance, "1")

    @property
    def operation(self) -> Operation:
        """As it is now."""
        return self.unit.operation("1")

    @property
    def begun(self) -> list[str]:
        """The last numbers of the hosts in process."""
        return [each.rpartition(".")[2] for each in self.operation.with_outcome("in_process")]

    def end(self, *numbers: int, well: bool = True) -> None:
        """These hosts come to an end."""
        for number in numbers:
            address = f"10.0.0.{number}"
            if well:
                self.do(operation_commands.finish_step, "1", address, "upgrade", {})
            else:
                self.do(operation_commands.fail_host, "1", address, "upgrade", "It broke.", {})

    def fail(self, number: int) -> None:
        """The watcher finds that a host is off."""
        address = f"10.0.0.{number}"
        subject = Subject(address, self.unit.host(address).incarnation)
        self.do(investigation.fail, subject, "unreachable", "It is off.")

    def recover(self, number: int) -> None:
        """It answers again."""
        self.do(lambda unit: unit.host(f"10.0.0.{number}").gather_facts(FACTS))


def test_a_wave_begins_once_the_one_before_has_soaked() -> None:
    run = Rollout(CANARY)
    assert run.begun == ["1"]
    happened(run.unit)
    run.end(1)
    until = shifted(BEGIN, SOAK_S)
    assert happened(run.unit)[1:] == [Waits("soak", until, "Wave 1 is over, and soaks.")]
    run.pass_time(SOAK_S - 1).advance()
    assert happened(run.unit) == [], "the same wait is told once"
    run.pass_time(1).advance()
    assert happened(run.unit)[0] == WaveStarted(2)
    assert run.begun == ["2", "3", "4", "5"]
    assert run.operation.told.what == "", "a host that is started ends it"
    run.end(2, 3, 4, 5)
    assert run.operation.state == "finished"


def test_waves_are_cumulative_and_the_rest_is_the_last() -> None:
    run = Rollout([{"hosts": 1}, {"hosts": "60%"}])
    seen = [run.begun]
    for ended in ([1], [2, 3], [4, 5]):
        run.end(*ended)
        seen.append(run.begun)
    assert seen == [["1"], ["2", "3"], ["4", "5"], []]
    assert run.operation.state == "finished"


@pytest.mark.parametrize("allowed", [0, 3])
def test_a_canary_that_fails_stops_everything_behind_it_whatever_may_fail(allowed: int) -> None:
    run = Rollout(CANARY, max_failures=allowed)
    run.end(1, well=False)
    assert run.operation.state == "failed"
    assert run.operation.with_outcome("waiting") == HOSTS[1:]


def test_a_failure_within_the_limits_does_not_stop_a_wave_of_which_some_are_done() -> None:
    run = Rollout([{"hosts": 2}], max_failures=1)
    run.end(1, well=False)
    run.end(2)
    assert run.begun == ["3", "4", "5"]


def test_a_finished_host_that_fails_in_the_soak_stops_the_next_wave() -> None:
    run = Rollout([{"hosts": 2, "soak_s": SOAK_S}])
    run.end(1, 2)
    run.pass_time(SOAK_S / 2).fail(1)
    words = "10.0.0.1 was done, and is not active: It is off."
    anew = f"{words} The soak begins anew once all are active."
    assert happened(run.unit) == [HostUnwell(HOSTS[0], "It is off."), Waits("soak", None, anew)]
    run.pass_time(10 * SOAK_S).advance()
    assert happened(run.unit) == [], "it waits as long as that takes"
    run.recover(1)
    run.advance()
    until = shifted(run.at, SOAK_S)
    told = Waits("soak", until, "Wave 1 is over, and soaks.")
    assert happened(run.unit) == [HostWell(HOSTS[0]), told], "without a break: it begins anew"
    run.pass_time(SOAK_S).advance()
    assert run.begun == ["3", "4", "5"]


def test_a_finished_host_that_fails_before_its_wave_is_over_stops_the_next_wave_as_well() -> None:
    run = Rollout([{"hosts": 2}])
    run.end(1)
    run.fail(1)
    run.end(2)
    assert run.begun == []
    assert run.operation.told.what == "soak"
    run.recover(1)
    run.advance()
    assert run.begun == ["3", "4", "5"]


def test_a_host_that_fails_and_recovers_between_two_looks_makes_the_soak_begin_anew() -> None:
    run = Rollout(CANARY)
    run.end(1)
    run.pass_time(SOAK_S - 1).fail(1)
    run.recover(1)
    run.pass_time(1).advance()
    assert run.begun == []
    assert run.operation.told.until == shifted(run.at, SOAK_S)


def test_a_clock_that_is_set_back_makes_the_soak_begin_anew() -> None:
    run = Rollout(CANARY)
    run.end(1)
    run.pass_time(-3600).advance()
    assert run.operation.told.until == shifted(run.at, SOAK_S)
    run.pass_time(SOAK_S - 1).advance()
    assert run.begun == []
    run.pass_time(1).advance()
    assert run.begun == ["2", "3", "4", "5"]


def test_a_soak_goes_on_while_the_operation_is_paused_and_nothing_begins() -> None:
    run = Rollout(CANARY)
    run.end(1)
    run.do(operation_commands.steer, "1", "paused")
    run.pass_time(SOAK_S + 1).advance()
    assert run.begun == []
    assert run.operation.told.what == ""
    run.do(operation_commands.steer, "1", "in_process")
    assert run.begun == ["2", "3", "4", "5"]


def test_nothing_is_started_before_its_time() -> None:
    later = shifted(BEGIN, 3600.0)
    run = Rollout([], starts_at=later)
    assert run.begun == []
    assert happened(run.unit)[1:] == [Waits("start", later, "It is to begin later.")]
    run.pass_time(3600.0).advance()
    assert run.begun == ["1", "2", "3", "4", "5"]


def test_the_time_for_members_to_come_back_begins_when_they_are_waited_for() -> None:
    run = Rollout(CANARY, max_unavailable=1)
    run.end(1)
    run.fail(3)
    run.pass_time(SOAK_S).advance()
    assert run.operation.told.what == "members"
    assert run.operation.told.until == shifted(run.at, 600.0)
    run.pass_time(600.0).advance()
    assert run.operation.state == "failed"


def test_a_clock_that_is_set_back_makes_the_time_for_members_begin_anew() -> None:
    run = Rollout(CANARY, max_unavailable=1)
    run.end(1)
    run.fail(3)
    run.pass_time(SOAK_S).advance()
    run.pass_time(-86_400.0).advance()
    assert run.operation.told.until == shifted(run.at, 600.0)
    run.pass_time(599.0).advance()
    assert not run.operation.is_over
    run.pass_time(1.0).advance()
    assert run.operation.state == "failed"


def test_hosts_of_a_label_come_first_and_a_label_that_nobody_has_is_refused() -> None:
    unit = cluster_of(*HOSTS)
    unit.host(HOSTS[3]).change_labels({"role": "canary"})
    wave: dict[str, Any] = {"hosts": {"label": "role=canary"}}
    options = checked_options("upgrade", {"waves": [wave, {"hosts": 3}]})
    wanted = OperationRequest("upgrade", "web", "", options)
    found = operation_commands.plan(unit, wanted)
    assert [address for address, _ in found.hosts] == [HOSTS[i] for i in (3, 0, 1, 2, 4)]
    assert found.waves == [1, 3]
    unit.host(HOSTS[3]).change_labels({})
    with pytest.raises(Refusal) as refused:
        operation_commands.plan(unit, wanted)
    assert refused.value.key == "waves"
    assert operation_commands.plan(unit, replace(wanted, options=Options())).waves == []


@pytest.mark.parametrize(
    ("waves", "whole", "ends"),
    [
        ([1, "10%", "50%"], 100, [1, 10, 50]),
        ([1, "10%", "50%"], 5, [1, 1, 2]),
        (["1%"], 7, [1]),
        ([3, 1], 7, [3, 3]),
        (["100%"], 7, [7]),
        ([50], 7, [7]),
        ([], 7, []),
    ],
)
def test_numbers_and_percentages_count_the_waves_before(
    waves: list[int | str], whole: int, ends: list[int]
) -> None:
    listed = checked_waves({"hosts": hosts} for hosts in waves)
    addresses = [str(number) for number in range(whole)]
    assert in_waves(listed, addresses, lambda *_: False) == (addresses, ends)


@pytest.mark.parametrize(
    "wave",
    [
        {"hosts": 0},
        {"hosts": "0%"},
        {"hosts": "101%"},
        {"hosts": "ten"},
        {"hosts": {"label": "role"}},
        {"hosts": 1, "soak_s": -1},
        {"hosts": 1, "soak_s": float("nan")},
        {"hosts": 1, "approval": "third"},
    ],
)
def test_an_impossible_wave_is_refused(wave: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        checked_options("upgrade", {"waves": [{"hosts": 1}, wave]})
    assert refused.value.key == "waves"
    assert "Wave 2" in refused.value.sentence


def test_an_operation_without_waves_says_nothing_of_them() -> None:
    run = Rollout([], max_parallel=1)
    for number in range(1, 6):
        run.end(number)
    made = happened(run.unit)
    assert not [e for e in made if isinstance(e, Waits | WaveStarted | HostUnwell)]
    assert [e.waves for e in made if isinstance(e, Started)] == [None]
    assert run.operation.state == "finished"
