"""Somebody approves the next wave: when that is taken, and who is a second person."""

import pytest

from domain.aggregates.operation_events import Waits, WaveApproved, WaveStarted
from domain.commands import approvals, operation_commands
from domain.refusal import Refusal
from domain.roles import Standing
from tests.domain.aggregates.test_operations import happened
from tests.domain.rollouts.test_waves import CANARY, SOAK_S, Rollout


def test_somebody_must_approve_where_that_is_asked_for() -> None:
    run = Rollout([{"hosts": 1, "soak_s": SOAK_S, "approval": True}])
    for too_early in (2, 3):
        with pytest.raises(Refusal) as refused:
            run.do(approvals.approve, "1", too_early)
        assert (refused.value.kind, refused.value.key) == ("conflict", "wave")
    run.end(1)
    run.pass_time(SOAK_S).advance()
    words = "Wave 1 is over: somebody must approve wave 2."
    assert happened(run.unit) == [Waits("approval", None, words)]
    run.do(approvals.approve, "1", 2)
    assert happened(run.unit)[:2] == [WaveApproved(2), WaveStarted(2)]
    run.do(approvals.approve, "1", 2)
    assert happened(run.unit) == [], "the same again is no news"


def test_an_approval_in_the_soak_does_not_shorten_it() -> None:
    run = Rollout([{"hosts": 1, "soak_s": SOAK_S, "approval": True}])
    run.end(1)
    run.do(approvals.approve, "1", 2)
    assert run.begun == []
    run.pass_time(SOAK_S).advance()
    assert run.begun == ["2", "3", "4", "5"]


@pytest.mark.parametrize("hand", ["ada", "token:of-ada", "token:of-nobody"])
def test_who_began_it_is_refused_where_a_second_person_is_asked_for(hand: str) -> None:
    run = Rollout([{"hosts": 1, "approval": "second"}])
    for name, owner in (("of-ada", "ada"), ("of-nobody", "")):
        token = run.unit.token(name)
        token.create(Standing("operator"), owner=owner, expires="")
    run.end(1)
    run.actor = hand
    with pytest.raises(Refusal, match="another person"):
        run.do(approvals.approve, "1", 2)
    run.actor = "bob"
    run.do(approvals.approve, "1", 2)
    assert run.begun == ["2", "3", "4", "5"]


def test_who_began_it_by_a_token_stays_that_though_another_has_a_token_of_that_name() -> None:
    run = Rollout([{"hosts": 1, "approval": "second"}], actor="token:ci", owner="ada")
    token = run.unit.token("ci")
    token.revoke()
    token.create(Standing("operator"), owner="bob", expires="")
    run.end(1)
    run.actor = "ada"
    with pytest.raises(Refusal, match="another person"):
        run.do(approvals.approve, "1", 2)
    run.actor = "cleo"
    run.do(approvals.approve, "1", 2)
    assert run.begun == ["2", "3", "4", "5"]


def test_who_defined_the_schedule_that_began_it_is_no_second_person() -> None:
    waves = [{"hosts": 1, "approval": "second"}]
    run = Rollout(waves, actor="runner:schedules", because="schedule/nightly")
    body = {"cluster": "web"}
    run.actor = "ada"
    run.do(lambda unit: unit.schedule("nightly").define("0 2 * * *", "UTC", body))
    run.do(lambda unit: unit.schedule("nightly").fire(run.at, "1"))
    run.actor = "bob"
    run.do(lambda unit: unit.schedule("nightly").define("0 3 * * *", "UTC", body))
    run.end(1)
    run.actor = "ada"
    with pytest.raises(Refusal, match="ada began the operation: another person"):
        run.do(approvals.approve, "1", 2)
    run.actor = "bob"
    run.do(approvals.approve, "1", 2)
    assert run.begun == ["2", "3", "4", "5"]


def test_a_wave_that_nobody_asked_to_approve_cannot_be_approved() -> None:
    run = Rollout(CANARY)
    run.end(1)
    for wave in (2, 3):
        with pytest.raises(Refusal):
            run.do(approvals.approve, "1", wave)
    run.do(operation_commands.steer, "1", "cancelled")
    with pytest.raises(Refusal, match="cancelled"):
        run.do(approvals.approve, "1", 2)
