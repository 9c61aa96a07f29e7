"""Setting hosts up: whether at all, and how it gets into the log."""

from dataclasses import replace

import pytest

from domain.aggregates.host import Host
from domain.aggregates.host_events import (
    Activated,
    Bootstrapped,
    BootstrapStepDone,
    BootstrapStepFailed,
    BootstrapStepSent,
    FactsGathered,
    Failed,
    JoinedCluster,
    Recovered,
    Registered,
)
from domain.aggregates.network import network_request
from domain.commands import bootstrap, fleet_commands, investigation
from domain.commands.bootstrap import Wanted
from domain.commands.investigation import Subject
from domain.event import Event
from domain.options import Options
from tests.domain.given import Given, given
from tests.domain.memory_unit import FACTS, MemorySecrets, MemoryUnit, request

A = "10.0.0.7"
ENDPOINTS: Options = {"endpoints": ["http://10.0.0.1:2379"]}
SENT = BootstrapStepSent("packages", "run-1", "blue")
DONE = BootstrapStepDone("packages", "run-1", [], {"exit_status": 0})
REASON = "Step 'packages' of setting it up ended with exit status 1."
STEP_FAILED = BootstrapStepFailed("packages", "run-1", REASON, [], {"exit_status": 1})
BEGUN = (Registered(A, "root", 22, "SHA256:x"), JoinedCluster("web"), FACTS)
WRITTEN = [{"path": "/etc/x", "sha256": "0f", "mode": "0644", "owner": "root:root"}]


def host(*events: Event) -> Given[Host]:
    return given(Host, A, *events)


def registered(kind: str, options: Options, cluster: str | None = "web") -> MemoryUnit:
    """A host in a cluster whose network is of this type."""
    unit = MemoryUnit()
    if kind == "default":
        fleet_commands.create_cluster(unit, "web", "default", "")
    else:
        unit.network("blue").create(network_request(kind, options))
        fleet_commands.create_cluster(unit, "web", "blue", "")
    fleet_commands.register_host(unit, MemorySecrets(), A, request(cluster))
    unit.did()
    return unit


def subject(unit: MemoryUnit) -> Subject:
    return Subject(A, unit.host(A).incarnation)


# Whether anything is to be installed


@pytest.mark.parametrize(
    ("kind", "options", "cluster"),
    [
        ("default", {}, "web"),
        ("flannel_etcd", {}, "web"),
        ("flannel_etcd", {"prefix": "/x"}, "web"),
        ("flannel_etcd", ENDPOINTS, None),
    ],
)
def test_without_a_network_that_knows_whom_to_ask_a_host_is_set_up_at_once(
    kind: str, options: Options, cluster: str | None
) -> None:
    unit = registered(kind, options, cluster)
    assert bootstrap.begin(unit, subject(unit), FACTS) is None
    made = [event for _, event in unit.did()]
    assert made == [FACTS, Bootstrapped()] + ([Activated()] if cluster else [])


@pytest.mark.parametrize(
    ("kind", "options"),
    [("flannel_etcd", ENDPOINTS), ("flannel_server", {"address": "10.0.0.1:8888"})],
)
def test_a_network_that_does_keeps_it_bootstrapping_until_all_is_done(
    kind: str, options: Options
) -> None:
    unit = registered(kind, options)
    assert bootstrap.begin(unit, subject(unit), FACTS) == Wanted("blue", kind, options)
    assert [event for _, event in unit.did()] == [FACTS]
    assert unit.host(A).status == "bootstrapping"
    assert bootstrap.go_on(unit, subject(unit)) == Wanted("blue", kind, options)
    assert unit.did() == []
    bootstrap.finish(unit, subject(unit))
    assert [event for _, event in unit.did()] == [Bootstrapped(), Activated()]


def test_a_host_that_was_set_up_once_is_not_asked_again_whatever_it_joins() -> None:
    unit = registered("flannel_etcd", ENDPOINTS, None)
    investigation.settle(unit, subject(unit), FACTS)
    fleet_commands.join(unit, "web", A)
    assert unit.host(A).status == "active"
    unit.host(A).fail("unreachable", "It is off.")
    unit.did()
    assert bootstrap.begin(unit, subject(unit), FACTS) is None
    assert [event for _, event in unit.did()] == [Recovered("active")]


def test_a_host_that_leaves_its_cluster_in_the_middle_is_set_up_as_it_is() -> None:
    unit = registered("flannel_etcd", ENDPOINTS)
    bootstrap.begin(unit, subject(unit), FACTS)
    assert bootstrap.send_step(unit, subject(unit), "packages", "run-1", "blue")
    fleet_commands.leave(unit, "web", A)
    unit.did()
    assert bootstrap.go_on(unit, subject(unit)) is None
    assert [event for _, event in unit.did()] == [Bootstrapped()]
    assert unit.host(A).step is None


def test_what_is_found_of_an_earlier_registration_is_dropped() -> None:
    unit = registered("flannel_etcd", ENDPOINTS)
    was = subject(unit)
    fleet_commands.remove_host(unit, MemorySecrets_with(unit), A)
    fleet_commands.register_host(unit, MemorySecrets(), A, request("web"))
    unit.did()
    assert bootstrap.begin(unit, was, FACTS) is None
    assert bootstrap.go_on(unit, was) is None
    assert not bootstrap.send_step(unit, was, "packages", "run-1", "blue")
    bootstrap.finish_step(unit, was, "run-1", [], {})
    bootstrap.fail_step(unit, was, "run-1", REASON, [], {})
    bootstrap.finish(unit, was)
    assert unit.did() == []


def MemorySecrets_with(unit: MemoryUnit) -> MemorySecrets:  # noqa: N802 - it makes one
    secrets = MemorySecrets()
    secrets.kept[unit.host(A).id] = b"key-1"
    return secrets


# Steps


def test_a_step_is_sent_once_and_not_beside_another() -> None:
    assert host(*BEGUN).when(Host.send_step, "packages", "run-1", "blue").then(SENT).step == SENT
    host(*BEGUN, SENT).when(Host.send_step, "packages", "run-2", "blue").then()
    host(*BEGUN, Bootstrapped()).when(Host.send_step, "packages", "run-2", "blue").then()


def test_a_step_that_is_done_says_what_it_wrote_and_is_told_once() -> None:
    done = replace(DONE, changed=WRITTEN)
    asked = host(*BEGUN, SENT).when(Host.finish_step, "run-1", WRITTEN, {"exit_status": 0})
    assert asked.then(done).step is None
    host(*BEGUN, SENT, done).when(Host.finish_step, "run-1", WRITTEN, {}).then()
    host(*BEGUN, SENT).when(Host.finish_step, "run-2", [], {}).then()


def test_a_step_that_failed_is_told_with_its_proof_and_another_may_be_sent() -> None:
    asked = host(*BEGUN, SENT).when(Host.fail_step, "run-1", REASON, [], {"exit_status": 1})
    asked.then(STEP_FAILED)
    again = BootstrapStepSent("packages", "run-2", "blue")
    failed = (*BEGUN, SENT, STEP_FAILED, Failed("setup", REASON))
    host(*failed).when(Host.send_step, "packages", "run-2", "blue").then(again)


def test_a_host_that_failed_by_a_step_recovers_by_a_step_and_not_by_an_answer() -> None:
    unit = registered("flannel_etcd", ENDPOINTS)
    it = subject(unit)
    bootstrap.begin(unit, it, FACTS)
    bootstrap.send_step(unit, it, "packages", "run-1", "blue")
    bootstrap.fail_step(unit, it, "run-1", REASON, [], {})
    investigation.fail(unit, it, "setup", REASON)
    unit.did()
    assert bootstrap.begin(unit, it, FACTS) is not None
    assert unit.did() == []
    bootstrap.send_step(unit, it, "packages", "run-2", "blue")
    bootstrap.finish_step(unit, it, "run-2", [], {})
    made = [event for _, event in unit.did()]
    assert made == [
        replace(SENT, run="run-2"),
        Recovered("bootstrapping"),
        BootstrapStepDone("packages", "run-2", [], {}),
    ]


def test_a_host_that_was_cut_off_in_the_middle_recovers_by_an_answer() -> None:
    unit = registered("flannel_etcd", ENDPOINTS)
    it = subject(unit)
    bootstrap.begin(unit, it, FACTS)
    bootstrap.send_step(unit, it, "packages", "run-1", "blue")
    investigation.fail(unit, it, "unreachable", "It is off.")
    unit.did()
    rebooted: FactsGathered = replace(FACTS, boot_id="boot-2")
    assert bootstrap.begin(unit, it, rebooted) is not None
    assert [event for _, event in unit.did()] == [Recovered("bootstrapping"), rebooted]
    assert unit.host(A).step == SENT


def test_what_somebody_mended_by_hand_is_set_up_without_a_step() -> None:
    history = (*BEGUN, SENT, STEP_FAILED, Failed("setup", REASON))
    host(*history).when(Host.finish_bootstrap).then(Recovered("bootstrapping"), Bootstrapped())
