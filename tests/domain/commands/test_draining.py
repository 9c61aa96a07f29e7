"""Pods leave a node before its step, and what becomes of its cordon, however the host ends."""

import pytest

from domain.aggregates.container_manager import container_manager_request
from domain.aggregates.operation import OperationRequest
from domain.aggregates.operation_events import (
    HostDone,
    HostFailed,
    HostStarted,
    HostUnknown,
    StepDone,
)
from domain.aggregates.rolling_policy import Kind, Options
from domain.commands import fleet_commands, node_outcomes, operation_commands
from domain.commands.operation_commands import STAYS_CORDONED
from domain.event import Event
from tests.domain.memory_unit import FACTS, MemorySecrets, MemoryUnit, request

A, B = "10.0.0.1", "10.0.0.2"
SERVER = container_manager_request("kubernetes", {"server_url": "https://10.9.9.9:6443"})


def cluster(manager: str = "prod") -> MemoryUnit:
    """A cluster `web` with two hosts; `prod` knows A as a node, and has not been told of B."""
    unit, secrets = MemoryUnit(), MemorySecrets()
    unit.container_manager("prod").create(SERVER)
    unit.container_manager("lab").create(container_manager_request("trivial", {}))
    fleet_commands.create_cluster(unit, "web", "default", manager)
    for address in (A, B):
        fleet_commands.register_host(unit, secrets, address, request("web"))
        unit.host(address).gather_facts(FACTS)
        unit.host(address).finish_bootstrap()
        fleet_commands.activate_where_nobody_else_must(
            unit, unit.cluster("web"), unit.host(address)
        )
    node_outcomes.registered(unit, "prod", A, found=False)
    unit.did()
    return unit


def asked(kind: Kind = "upgrade", **options: object) -> OperationRequest:
    """An operation over both at once."""
    wanted = Options(**{"max_parallel": 2, "max_failures": 2, **options})  # type: ignore[arg-type]
    return OperationRequest(kind, "web", "", wanted)


def begun(unit: MemoryUnit, kind: Kind = "upgrade", **options: object) -> list[Event]:
    """It is in process; gives what happened to it."""
    operation_commands.start(unit, "1", asked(kind, **options))
    operation_commands.advance(unit, "1")
    return happened(unit)


def happened(unit: MemoryUnit) -> list[Event]:
    """To the operation, since it was asked last."""
    return [event for subject, event in unit.did() if subject == "operation/1"]


def cordoned(unit: MemoryUnit) -> dict[str, str]:
    """Whose cordon is to be taken away."""
    return unit.container_manager("prod").cordoned


def steps(unit: MemoryUnit, *, until: str = "", reboot: bool = False) -> list[str]:
    """Let A take its steps, as far as one of them; gives those that it took."""
    taken: list[str] = []
    host = unit.operation("1").hosts[A]
    while host.outcome == "in_process" and host.step != until:
        taken.append(host.step)
        if host.step not in ("drain", "health", "uncordon"):
            operation_commands.send_step(unit, "1", A, host.step)
        operation_commands.finish_step(unit, "1", A, host.step, {}, reboot=reboot)
    unit.did()
    return taken


def test_nodes_are_drained_unless_it_was_said_otherwise_and_others_are_not() -> None:
    unit = cluster()
    assert operation_commands.plan(unit, asked()).drained == [A]
    assert operation_commands.plan(unit, asked(drain=False)).drained == []
    assert begun(unit)[1:] == [HostStarted(A, "prod"), HostStarted(B)]
    operation = unit.operation("1")
    assert operation.request.options.drain is True
    assert [operation.hosts[address].step for address in (A, B)] == ["drain", "upgrade"]


@pytest.mark.parametrize("manager", ["", "lab"])
def test_where_nothing_runs_pods_nothing_is_drained_and_asking_for_it_is_refused(
    manager: str,
) -> None:
    unit = cluster(manager)
    assert begun(unit)[1:] == [HostStarted(A), HostStarted(B)]
    assert unit.operation("1").request.options.drain is False
    refusal = unit.refused(lambda: operation_commands.start(unit, "2", asked(drain=True)))
    assert (refusal.kind, refusal.key) == ("invalid", "drain")


def test_the_same_request_is_the_same_operation_whether_drain_was_said_or_not() -> None:
    unit = cluster()
    begun(unit)
    assert operation_commands.start(unit, "2", asked()) == "1"
    assert operation_commands.start(unit, "2", asked(drain=True)) == "1"
    unit.did()
    assert (
        unit.refused(lambda: operation_commands.start(unit, "2", asked(drain=False))).kind
        == "conflict"
    )


@pytest.mark.parametrize(
    ("kind", "reboot", "healthy_for_s", "expected"),
    [
        ("upgrade", False, 0.0, ["drain", "upgrade", "uncordon"]),
        ("upgrade", True, 5.0, ["drain", "upgrade", "reboot", "health", "uncordon"]),
        ("restart", False, 5.0, ["drain", "reboot", "health", "uncordon"]),
    ],
)
def test_the_steps_of_a_node_begin_with_its_drain_and_end_with_its_uncordoning(
    kind: Kind, reboot: bool, healthy_for_s: float, expected: list[str]
) -> None:
    unit = cluster()
    begun(unit, kind, healthy_for_s=healthy_for_s)
    assert steps(unit, reboot=reboot) == expected
    assert unit.operation("1").hosts[A].outcome == "done"
    assert cordoned(unit) == {}, "it was uncordoned in its last step"


def test_without_a_drain_a_node_is_not_cordoned_and_not_uncordoned() -> None:
    unit = cluster()
    assert HostStarted(A, "prod") in begun(unit, drain=False)
    assert steps(unit) == ["upgrade"]


@pytest.mark.parametrize("step", ["drain", "upgrade", "uncordon"])
def test_a_host_that_is_as_good_as_before_has_its_cordon_taken_away(step: str) -> None:
    unit = cluster()
    begun(unit)
    steps(unit, until=step)
    operation_commands.fail_host(unit, "1", A, unit.operation("1").hosts[A].step, "Why.", {})
    assert happened(unit)[0] == HostFailed(A, "Why.", {})
    assert cordoned(unit) == {A: "1"}
    node_outcomes.uncordoned(unit, MemorySecrets(), "prod", A, "1")
    assert cordoned(unit) == {}


@pytest.mark.parametrize("step", ["upgrade", "reboot", "health"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_host_that_may_not_be_what_it_was_stays_cordoned_and_says_so(
    step: str, lost: bool
) -> None:
    unit = cluster()
    begun(unit, healthy_for_s=5.0)
    steps(unit, until=step, reboot=True)
    if step == "upgrade":
        operation_commands.send_step(unit, "1", A, "upgrade")
        unit.did()
    command = operation_commands.mark_unknown if lost else operation_commands.fail_host
    command(unit, "1", A, unit.operation("1").hosts[A].step, "Why.", {})
    kind = HostUnknown if lost else HostFailed
    assert happened(unit)[0] == kind(A, f"Why. {STAYS_CORDONED}", {})
    assert cordoned(unit) == {}


@pytest.mark.parametrize("step", ["drain", "upgrade", "health"])
def test_whoever_cancels_has_the_cordon_taken_away(step: str) -> None:
    unit = cluster()
    begun(unit, healthy_for_s=5.0)
    steps(unit, until=step)
    operation_commands.send_step(unit, "1", A, unit.operation("1").hosts[A].step)
    operation_commands.steer(unit, "1", "cancelled")
    operation_commands.fail_host(unit, "1", A, unit.operation("1").hosts[A].step, "Cancelled.", {})
    assert cordoned(unit) == {A: "1"}


def test_what_was_killed_in_the_middle_stays_cordoned_though_somebody_cancelled() -> None:
    unit = cluster()
    begun(unit)
    steps(unit, until="upgrade")
    operation_commands.send_step(unit, "1", A, "upgrade")
    operation_commands.steer(unit, "1", "cancelled")
    unit.did()
    operation_commands.fail_host(unit, "1", A, "upgrade", "Stopped.", {}, cut_short=True)
    assert HostFailed(A, f"Stopped. {STAYS_CORDONED}", {}) in happened(unit)
    assert cordoned(unit) == {}


def test_a_second_report_changes_nothing() -> None:
    unit = cluster()
    begun(unit)
    for _ in range(2):
        operation_commands.finish_step(unit, "1", A, "drain", {})
    assert happened(unit) == [StepDone(A, "drain", "upgrade", {})]
    operation_commands.fail_host(unit, "1", A, "drain", "Late.", {})
    assert happened(unit) == []
    assert cordoned(unit) == {}


def test_hosts_that_are_no_nodes_need_no_uncordoning() -> None:
    unit = cluster()
    begun(unit)
    operation_commands.send_step(unit, "1", B, "upgrade")
    operation_commands.finish_step(unit, "1", B, "upgrade", {})
    assert HostDone(B, {}) in happened(unit)


def test_a_retry_drains_where_there_is_something_to_drain() -> None:
    unit = cluster()
    begun(unit)
    for address in (A, B):
        operation_commands.fail_host(
            unit, "1", address, unit.operation("1").hosts[address].step, "No.", {}
        )
    assert unit.operation("1").is_over
    operation_commands.retry(unit, "2", "1")
    operation_commands.advance(unit, "2")
    assert unit.operation("2").hosts[A].step == "drain"
