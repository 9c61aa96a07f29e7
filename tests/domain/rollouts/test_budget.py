"""One budget for failed members, the hosts of an operation, and holders of locks."""

from typing import Any

import pytest

from domain.aggregates.cluster import LockGiven, LockTaken, PolicyChanged
from domain.aggregates.host import Host
from domain.aggregates.operation import OperationRequest
from domain.aggregates.planning.window import Hours
from domain.aggregates.rolling_policy import checked_options
from domain.commands import budget, operation_commands
from domain.refusal import Refusal
from domain.rollouts.amounts import Amount
from domain.rollouts.budget import checked_budget, most_away
from tests.domain.aggregates.test_operations import cluster_of
from tests.domain.memory_unit import FACTS, MemoryUnit

A, B, C, D = (f"10.0.0.{number}" for number in range(1, 5))


def fleet(policy: Amount | None = None) -> MemoryUnit:
    """Four members, and perhaps a policy."""
    unit = cluster_of(A, B, C, D)
    unit.cluster("web").change_policy(policy)
    unit.did()
    return unit


def begin(unit: MemoryUnit, **options: Any) -> None:
    """An upgrade of all, as many at once as may be."""
    wanted = checked_options("upgrade", {"max_parallel": 4} | options)
    operation_commands.start(unit, "1", OperationRequest("upgrade", "web", "", wanted))
    operation_commands.advance(unit, "1")


def taken(unit: MemoryUnit, address: str) -> bool:
    """Whether a member gets a lock."""
    try:
        budget.take_lock(unit, "web", address, f"id-of-{address}")
    except Refusal as refusal:
        return refusal.kind != "conflict"
    return True


def test_without_a_policy_there_is_one_slot_and_its_holder_keeps_it() -> None:
    unit = fleet()
    assert taken(unit, A)
    assert taken(unit, A), "recursion"
    assert not taken(unit, B), "the last slot is taken"
    assert unit.did() == [("cluster/web", LockTaken(A, f"id-of-{A}"))]
    budget.give_lock(unit, "web", A, f"id-of-{A}")
    budget.give_lock(unit, "web", A, f"id-of-{A}")
    assert unit.did() == [("cluster/web", LockGiven(A, "unlocked"))], "once"
    assert taken(unit, B)


def test_a_lock_is_of_the_client_that_took_it_and_not_of_another_behind_its_address() -> None:
    unit = fleet(2)
    assert taken(unit, A)
    unit.did()
    with pytest.raises(Refusal, match=f"as id-of-{A}") as refused:
        budget.take_lock(unit, "web", A, "another")
    assert refused.value.kind == "conflict"
    budget.give_lock(unit, "web", A, "another")
    assert unit.did() == [], "it holds none: that is no news, and no error"
    assert taken(unit, A), "who took it holds it still"


def test_failed_members_count_with_locks_and_one_that_failed_itself_counts_once() -> None:
    unit = fleet(2)
    unit.host(A).fail("unreachable", "It is off.")
    assert taken(unit, B)
    assert not taken(unit, C)
    assert taken(unit, A), "it is away already"
    unit.host(A).gather_facts(FACTS)
    assert not taken(unit, C), "the holder is still away"


def test_clients_that_ask_while_the_slots_are_taken_cost_no_look_at_any_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unit, looked = fleet(), list[str]()
    assert taken(unit, A)
    host = MemoryUnit.host

    def watched(unit: MemoryUnit, address: str) -> Host:
        looked.append(address)
        return host(unit, address)

    monkeypatch.setattr(MemoryUnit, "host", watched)
    assert not taken(unit, B)
    assert looked == []
    budget.give_lock(unit, "web", A, f"id-of-{A}")
    assert taken(unit, B)
    assert looked == [A, B, C, D], "a slot is given only where each of them was seen"


def test_an_operation_and_locks_share_the_budget() -> None:
    unit = fleet(2)
    assert taken(unit, D)
    begin(unit)
    assert unit.operation("1").with_outcome("in_process") == [A], "one more, whatever it asks for"
    assert not taken(unit, B)
    assert not taken(unit, A), "it is in the middle of a step"
    budget.give_lock(unit, "web", D, f"id-of-{D}")
    operation_commands.advance(unit, "1")
    assert unit.operation("1").with_outcome("in_process") == [A, B]
    assert not taken(unit, D)


def test_a_policy_holds_whatever_the_operation_says_and_waits_without_an_end() -> None:
    unit = fleet("25%")
    unit.host(C).fail("unreachable", "It is off.")
    begin(unit, max_unavailable=4)
    operation = unit.operation("1")
    assert operation.with_outcome("in_process") == []
    words = "1 unavailable at most, as the policy of cluster web has it."
    assert (operation.told.what, operation.told.until, operation.told.why) == (
        "members",
        None,
        words,
    )
    unit.host(C).gather_facts(FACTS)
    operation_commands.advance(unit, "1")
    assert operation.with_outcome("in_process") == [A]
    assert operation.told.what == "", "what it takes away itself is no news"


def test_an_operation_that_overrides_the_policy_does_not_ask_it_and_its_retry_does() -> None:
    unit = fleet(1)
    begin(unit, override_policy=True)
    assert unit.operation("1").with_outcome("in_process") == [A, B, C, D]
    operation_commands.fail_host(unit, "1", A, "upgrade", "It broke.", {})
    for address in (B, C, D):
        operation_commands.finish_step(unit, "1", address, "upgrade", {})
    operation_commands.retry(unit, "2", "1")
    assert not unit.operation("2").request.options.override_policy


def test_an_operation_does_not_work_on_a_host_that_restarts_by_itself() -> None:
    unit = fleet(3)
    assert taken(unit, A)
    begin(unit)
    operation = unit.operation("1")
    assert operation.with_outcome("in_process") == []
    assert operation.told.why == f"{A} holds a lock of the cluster: it restarts by itself."
    budget.give_lock(unit, "web", A, f"id-of-{A}")
    operation_commands.advance(unit, "1")
    assert operation.with_outcome("in_process") == [A, B, C]


def test_a_policy_that_is_the_same_is_no_news_and_ends_with_its_cluster() -> None:
    unit = fleet(2)
    unit.cluster("web").change_policy(2)
    assert unit.did() == []
    unit.cluster("web").change_policy(None)
    assert unit.did() == [("cluster/web", PolicyChanged(None))]


def test_who_leaves_gives_its_lock_back_and_an_administrator_releases_one() -> None:
    unit = fleet(2)
    assert taken(unit, A)
    assert taken(unit, B)
    unit.cluster("web").drop(A)
    assert unit.cluster("web").locks.keys() == {B}
    unit.did()
    budget.release_lock(unit, "web", B)
    assert unit.did() == [("cluster/web", LockGiven(B, "released"))]
    with pytest.raises(Refusal, match="holds no lock"):
        budget.release_lock(unit, "web", B)


def test_strangers_get_no_lock() -> None:
    unit = fleet()
    for cluster, address in (("web", "10.9.9.9"), ("none", A)):
        with pytest.raises(Refusal) as refused:
            budget.take_lock(unit, cluster, address, "x")
        assert refused.value.kind == "not_found"


@pytest.mark.parametrize(("amount", "members", "most"), [(3, 2, 3), ("25%", 10, 2), ("1%", 10, 1)])
def test_a_budget_is_rounded_down_to_one_at_least(amount: Amount, members: int, most: int) -> None:
    assert most_away(amount, members) == most


@pytest.mark.parametrize("amount", [0, -1, "0%", "101%", "x", 1_000_001])
def test_an_impossible_budget_is_refused(amount: Amount) -> None:
    with pytest.raises(Refusal):
        checked_budget(amount)


NIGHTS = Hours("UTC", "0 22 * * *", 3600)
BY_DAY, BY_NIGHT = "2026-01-02T12:00:00.000000", "2026-01-02T22:30:00.000000"


def kept(at: str, *, gate: str = "", **options: Any) -> MemoryUnit:
    """Four members whose policy has a window and perhaps a gate, and an operation that began."""
    unit = cluster_of(A, B, C, D)
    unit.act = unit.act._replace(at=at)
    unit.window("nights").define(NIGHTS)
    budget.change_policy(unit, "web", None, "nights", gate)
    begin(unit, **options)
    return unit


def test_the_window_of_a_policy_holds_whatever_the_operation_says() -> None:
    by_day = kept(BY_DAY)
    told = by_day.operation("1").told
    assert (told.what, told.until) == ("window", "2026-01-02T22:00:00.000000")
    assert told.why == "The window of its cluster nights is closed."
    assert by_day.operation("1").count("in_process") == 0
    assert kept(BY_NIGHT).operation("1").count("in_process") == 4
    assert kept(BY_DAY, override_policy=True).operation("1").count("in_process") == 4


def test_the_gate_of_a_policy_is_asked_before_each_host() -> None:
    unit = kept(BY_NIGHT, gate="alerts")
    wait = operation_commands.advance(unit, "1")
    assert wait is not None
    assert wait.asks == ("alerts",)
    operation_commands.advance(unit, "1", {"alerts": ""})
    assert unit.operation("1").count("in_process") == 1
    overridden = kept(BY_NIGHT, gate="alerts", override_policy=True)
    assert overridden.operation("1").count("in_process") == 4


def test_locks_keep_to_the_window_and_the_gate_of_the_policy() -> None:
    unit = cluster_of(A, B, C, D)
    unit.window("nights").define(NIGHTS)
    budget.change_policy(unit, "web", None, "nights", "alerts")
    unit.act = unit.act._replace(at=BY_DAY)
    assert not taken(unit, A)
    unit.act = unit.act._replace(at=BY_NIGHT)
    with pytest.raises(budget.Unasked):
        budget.take_lock(unit, "web", A, "a")
    with pytest.raises(Refusal, match="Gate alerts says no: alerts fire: Down"):
        budget.take_lock(unit, "web", A, "a", {"alerts": "alerts fire: Down"})
    budget.take_lock(unit, "web", A, "a", {"alerts": ""})
    budget.take_lock(unit, "web", A, "a")


def test_a_policy_takes_its_window_up_until_it_names_another() -> None:
    unit = cluster_of(A)
    unit.window("nights").define(NIGHTS)
    budget.change_policy(unit, "web", 1, "nights")
    with pytest.raises(Refusal):
        unit.window("nights").remove()
    with pytest.raises(Refusal, match="There is no window days"):
        budget.change_policy(unit, "web", 1, "days")
    budget.change_policy(unit, "web", 1)
    unit.window("nights").remove()
