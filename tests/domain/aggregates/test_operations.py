"""Operations: what starts them, steers them, ends them, and what must wait for them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from domain.aggregates.host_events import Failed
from domain.aggregates.operation import OVER, OperationRequest
from domain.aggregates.operation_events import (
    CancelRequested,
    Ended,
    HostDone,
    HostFailed,
    HostStarted,
    HostUnknown,
    Paused,
    RebootRequested,
    Resumed,
    Retried,
    Started,
    StepDone,
    StepSent,
)
from domain.aggregates.rolling_policy import Limits, Options
from domain.commands import fleet_commands, operation_commands
from domain.commands.operation_commands import Wish
from domain.event import Event
from tests.domain.memory_unit import FACTS, MemorySecrets, MemoryUnit, request

SECRETS = MemorySecrets()
UPGRADE = OperationRequest("upgrade", "web", "", Options())
RESTART = OperationRequest("restart", "web", "", Options())
A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def cluster_of(*addresses: str) -> MemoryUnit:
    """A cluster with these members, all active."""
    unit = MemoryUnit()
    settle_members(unit, addresses)
    return unit


def settle_members(
    unit: MemoryUnit,
    addresses: Sequence[str],
    os: str = "fedora",
    manager: str = "",
    cluster: str = "web",
) -> None:
    """Make a cluster with these members, all active, or waiting for their container manager."""
    fleet_commands.create_cluster(unit, cluster, "default", manager)
    for address in addresses:
        fleet_commands.register_host(unit, SECRETS, address, request(cluster))
        host = unit.host(address)
        host.gather_facts(replace(FACTS, os=os))
        host.finish_bootstrap()
        fleet_commands.activate_where_nobody_else_must(unit, unit.cluster(cluster), host)
    unit.did()


def running(unit: MemoryUnit, wanted: OperationRequest = UPGRADE, name: str = "1") -> MemoryUnit:
    """With an operation whose first hosts have started."""
    operation_commands.start(unit, name, wanted)
    operation_commands.advance(unit, name)
    unit.did()
    return unit


def happened(unit: MemoryUnit) -> list[Event]:
    """To the operation."""
    return [event for subject, event in unit.did() if subject.startswith("operation/")]


def test_an_operation_takes_members_that_are_set_up_and_skips_the_others_with_reasons() -> None:
    unit = cluster_of(C, A, B)
    unit.host(A).fail("unreachable", "It is off.")
    fleet_commands.register_host(unit, SECRETS, "10.0.0.9", request("web"))
    unit.did()
    assert operation_commands.start(unit, "1", UPGRADE) == "1"
    assert happened(unit) == [
        Started(
            "upgrade",
            "web",
            "",
            Options(drain=False).plain(),
            [[C, 0], [B, 0]],
            [[A, "It is failed: It is off."], ["10.0.0.9", "It is investigating."]],
            "",
        )
    ]
    assert unit.cluster("web").operation == "1"
    planned = operation_commands.plan(
        unit, replace(UPGRADE, options=Options(max_unavailable="50%"))
    )
    assert [address for address, _ in planned.hosts] == [C, B]
    assert planned.limits == Limits(1, 0, 2)
    assert not unit.did(), "a plan changes nothing"


def test_one_operation_at_a_time_and_the_very_same_request_is_the_one_in_process() -> None:
    unit = running(cluster_of(A, B))
    assert operation_commands.start(unit, "2", UPGRADE) == "1"
    assert unit.did() == []
    for other in (RESTART, replace(UPGRADE, options=Options(max_parallel=2))):
        refusal = unit.refused(
            lambda other=other: operation_commands.start(unit, "2", other)  # type: ignore[misc]
        )
        assert refusal.kind == "conflict"
    assert unit.refused(
        lambda: operation_commands.start(unit, "2", replace(UPGRADE, cluster="db"))
    ).kind == ("not_found")


def test_what_is_being_cancelled_is_not_what_somebody_asks_for_anew() -> None:
    unit = running(cluster_of(A, B))
    operation_commands.steer(unit, "1", "cancelled")
    unit.did()
    refused = unit.refused(lambda: operation_commands.start(unit, "2", UPGRADE))
    assert refused.kind == "conflict"
    assert "wait until it is over" in refused.sentence
    operation_commands.fail_host(unit, "1", A, "upgrade", "It was cancelled.", {})
    assert operation_commands.start(unit, "2", UPGRADE) == "2"
    operation_commands.steer(unit, "2", "cancelled")
    assert operation_commands.retry(unit, "3", "1") == "3"
    operation_commands.advance(unit, "3")
    assert operation_commands.retry(unit, "4", "1") == "3"
    operation_commands.steer(unit, "3", "cancelled")
    unit.did()
    assert unit.refused(lambda: operation_commands.retry(unit, "4", "1")).kind == "conflict"


def test_nobody_leaves_while_an_operation_is_in_process_but_hosts_may_join() -> None:
    unit = running(cluster_of(A, B))
    for command in (
        lambda: fleet_commands.remove_cluster(unit, "web"),
        lambda: fleet_commands.leave(unit, "web", A),
        lambda: fleet_commands.remove_host(unit, SECRETS, B),
        lambda: fleet_commands.replace_members(unit, "web", [A, B], [A]),
    ):
        refused = unit.refused(command)
        assert refused.kind == "conflict"
        assert "Operation 1 is in process" in refused.sentence
    fleet_commands.register_host(unit, SECRETS, C, request("web"))
    assert C in unit.cluster("web").members
    assert C not in unit.operation("1").hosts


def test_hosts_follow_one_another_and_the_cluster_is_free_in_the_end() -> None:
    unit = running(cluster_of(A, B))
    operation_commands.finish_step(unit, "1", A, "upgrade", {"exit_status": 0})
    assert happened(unit) == [HostDone(A, {"exit_status": 0}), HostStarted(B)]
    operation_commands.finish_step(unit, "1", B, "upgrade", {})
    assert happened(unit) == [HostDone(B, {}), Ended("finished", "")]
    assert unit.cluster("web").operation == ""
    assert operation_commands.advance(unit, "1") is None
    assert operation_commands.start(unit, "2", UPGRADE) == "2"


def test_the_first_failure_stops_an_operation_without_options() -> None:
    unit = running(cluster_of(A, B))
    operation_commands.fail_host(unit, "1", A, "upgrade", "It broke.", {"exit_status": 1})
    assert happened(unit) == [
        HostFailed(A, "It broke.", {"exit_status": 1}),
        Ended("failed", "1 failed or unknown: max_failures was exceeded."),
    ]
    assert unit.operation("1").with_outcome("waiting") == [B]


def test_an_outcome_that_is_recorded_twice_is_no_news() -> None:
    unit = running(cluster_of(A, B))
    operation_commands.mark_unknown(unit, "1", A, "upgrade", "Silence.", {})
    assert happened(unit)[0] == HostUnknown(A, "Silence.", {})
    operation_commands.finish_step(unit, "1", A, "upgrade", {})
    operation_commands.fail_host(unit, "1", A, "upgrade", "No.", {})
    operation_commands.mark_unknown(unit, "1", B, "reboot", "Another step.", {})
    assert unit.did() == []


def test_steps_follow_one_another_on_a_host() -> None:
    careful = replace(UPGRADE, options=Options(healthy_for_s=5.0, reboot="always"))
    unit = running(cluster_of(A), careful)
    operation_commands.finish_step(unit, "1", A, "upgrade", {"exit_status": 0}, reboot=True)
    assert happened(unit) == [StepDone(A, "upgrade", "reboot", {"exit_status": 0})]
    assert operation_commands.request_reboot(unit, "1", A, "boot-1")
    assert happened(unit) == [RebootRequested(A, "boot-1")]
    assert operation_commands.request_reboot(unit, "1", A, "boot-1"), "a repeat is no news"
    assert not operation_commands.request_reboot(unit, "1", A, "boot-2"), "it has rebooted since"
    assert happened(unit) == []
    operation_commands.finish_step(unit, "1", A, "reboot", {"boot_id_after": "boot-2"})
    assert happened(unit) == [StepDone(A, "reboot", "health", {"boot_id_after": "boot-2"})]
    operation_commands.finish_step(unit, "1", A, "health", {})
    assert happened(unit) == [HostDone(A, {}), Ended("finished", "")]
    assert unit.operation("1").hosts[A].evidence == {"exit_status": 0, "boot_id_after": "boot-2"}


def test_before_a_step_is_sent_the_log_says_so_and_a_cancelled_one_is_not() -> None:
    unit = running(cluster_of(A, B))
    assert operation_commands.send_step(unit, "1", A, "upgrade")
    assert operation_commands.send_step(unit, "1", A, "upgrade")
    assert happened(unit) == [StepSent(A, "upgrade")]
    assert not operation_commands.send_step(unit, "1", B, "upgrade"), "it is not its turn"
    operation_commands.steer(unit, "1", "cancelled")
    unit.did()
    assert not operation_commands.send_step(unit, "1", A, "upgrade")
    assert unit.did() == []


def test_a_paused_operation_lets_hosts_finish_and_starts_none_until_it_is_resumed() -> None:
    unit = running(cluster_of(A, B))
    operation_commands.steer(unit, "1", "paused")
    operation_commands.steer(unit, "1", "paused")
    assert happened(unit) == [Paused()]
    operation_commands.finish_step(unit, "1", A, "upgrade", {})
    assert happened(unit) == [HostDone(A, {})]
    operation_commands.steer(unit, "1", "in_process")
    assert happened(unit) == [Resumed(), HostStarted(B)]


def test_a_cancelled_operation_is_over_when_every_step_is_known_to_have_stopped() -> None:
    unit = running(cluster_of(A, B))
    operation_commands.steer(unit, "1", "cancelled")
    assert happened(unit) == [CancelRequested()]
    assert unit.refused(lambda: operation_commands.steer(unit, "1", "paused")).kind == "conflict"
    assert not operation_commands.request_reboot(unit, "1", A, "boot-1")
    operation_commands.fail_host(unit, "1", A, "upgrade", "It was cancelled.", {})
    assert happened(unit) == [HostFailed(A, "It was cancelled.", {}), Ended("cancelled", "")]
    operation_commands.steer(unit, "1", "cancelled")
    assert happened(unit) == []


@pytest.mark.parametrize("wish", ["paused", "in_process", "cancelled"])
def test_what_is_over_cannot_be_steered(wish: Wish) -> None:
    unit = running(cluster_of(A))
    operation_commands.finish_step(unit, "1", A, "upgrade", {})
    unit.did()
    assert unit.refused(lambda: operation_commands.steer(unit, "1", wish)).kind == "conflict"
    assert unit.refused(lambda: operation_commands.steer(unit, "none", wish)).kind == "not_found"


def test_a_retry_takes_what_was_not_done_and_counts_the_attempts() -> None:
    unit = cluster_of(A, B, C)
    unit.host(C).fail("unreachable", "It is off.")
    running(unit)
    assert unit.refused(lambda: operation_commands.retry(unit, "2", "1")).kind == "conflict"
    operation_commands.fail_host(unit, "1", A, "upgrade", "It broke.", {})
    unit.host(C).status = "active"
    unit.did()
    assert operation_commands.retry(unit, "2", "1") == "2"
    retried, started = happened(unit)[:2]
    assert retried == Retried("2")
    assert isinstance(started, Started)
    assert (started.hosts, started.skipped) == ([[A, 1], [B, 0], [C, 0]], [])
    assert started.predecessor == "1"
    assert operation_commands.retry(unit, "3", "1") == "2", "the very one that is in process"
    assert unit.refused(lambda: operation_commands.start(unit, "3", UPGRADE)).kind == "conflict"


def test_a_retry_that_is_sent_again_is_the_same_also_when_it_is_over() -> None:
    unit = running(cluster_of(A))
    operation_commands.fail_host(unit, "1", A, "upgrade", "It broke.", {})
    operation_commands.retry(unit, "2", "1")
    operation_commands.advance(unit, "2")
    operation_commands.fail_host(unit, "2", A, "upgrade", "It broke again.", {})
    unit.did()
    assert operation_commands.retry(unit, "3", "1") == "2"
    assert happened(unit) == []
    assert operation_commands.retry(unit, "3", "2") == "3"


def test_a_retry_of_what_was_all_done_is_refused() -> None:
    unit = running(cluster_of(A))
    operation_commands.finish_step(unit, "1", A, "upgrade", {})
    unit.did()
    assert unit.refused(lambda: operation_commands.retry(unit, "2", "1")).kind == "conflict"
    assert unit.refused(lambda: operation_commands.retry(unit, "2", "none")).kind == "not_found"


def test_max_unavailable_looks_at_every_member() -> None:
    unit = cluster_of(A, B, C)
    limited = replace(UPGRADE, options=Options(max_parallel=3, max_unavailable=2))
    unit.host(C).fail("unreachable", "It is off.")
    running(unit, limited)
    assert unit.operation("1").with_outcome("in_process") == [A]
    operation_commands.finish_step(unit, "1", A, "upgrade", {})
    assert unit.operation("1").with_outcome("in_process") == [B]


def test_a_host_that_fails_an_operation_out_of_reach_is_failed_itself() -> None:
    unit = running(cluster_of(A, B))
    operation_commands.fail_itself(
        unit, "1", B, "unreachable", "It waits, so this is about nobody."
    )
    assert unit.did() == []
    operation_commands.fail_itself(unit, "1", A, "unreachable", "It is off.")
    assert unit.did() == [(f"host/{A}", Failed("unreachable", "It is off."))]


def test_an_operation_without_hosts_ends_at_once() -> None:
    unit = running(cluster_of())
    assert unit.operation("1").state == "finished"
    assert unit.operation("1").state in OVER
