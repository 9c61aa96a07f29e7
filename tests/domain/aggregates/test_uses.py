"""Clusters use networks and container managers, hosts are nodes: every side says so, or none."""

from secrets import token_urlsafe

import pytest

from domain.aggregates import cluster as clusters
from domain.aggregates import container_manager_events as managers
from domain.aggregates import network as networks
from domain.aggregates.cluster import HostJoined, HostLeft
from domain.aggregates.container_manager import MASK, container_manager_request
from domain.aggregates.container_manager_events import NodeRegistered, NodeRemoved, NodeWanted
from domain.aggregates.host_events import Activated, JoinedCluster, LeftCluster
from domain.aggregates.network import network_request
from domain.commands import fleet_commands, investigation, node_outcomes
from domain.commands.fleet_commands import REMOVAL_BATCH_HOSTS
from domain.commands.investigation import Subject
from tests.domain.memory_unit import FACTS, MemorySecrets, MemoryUnit, request

A, B = "10.0.0.1", "10.0.0.2"
URL = "https://master.example.com:8443"
TOKEN = token_urlsafe(12)


class Fleet(MemoryUnit):
    """A network `blue`, and container managers `lab` (trivial) and `prod` (with a token)."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = MemorySecrets()
        self.network("blue").create(network_request("flannel_server", {"address": "10.9.9.9:80"}))
        self.manage("lab", "trivial")
        self.manage("prod", "openshift", server_url=URL, token=TOKEN)
        self.did()

    def manage(self, name: str, kind: str, **options: object) -> None:
        """PUT a container manager."""
        wanted = container_manager_request(kind, options)
        fleet_commands.create_container_manager(self, self.secrets, name, wanted)

    def ready(self, address: str, cluster: str | None = None) -> None:
        """A host that is set up."""
        fleet_commands.register_host(self, self.secrets, address, request(cluster))
        subject = Subject(address, self.host(address).incarnation)
        investigation.settle(self, subject, FACTS)
        self.did()


@pytest.fixture
def unit() -> Fleet:
    """A fleet."""
    return Fleet()


def test_a_new_cluster_takes_up_what_it_uses_and_a_repeat_is_no_news(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "blue", "prod")
    assert unit.did() == [
        ("network/blue", networks.TakenUp("web")),
        ("container_manager/prod", managers.TakenUp("web")),
        ("cluster/web", clusters.Created("web", "blue", "prod")),
    ]
    fleet_commands.create_cluster(unit, "web", "blue", "prod")
    assert unit.did() == []


def test_a_removed_cluster_releases_what_it_used(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "blue", "prod")
    unit.did()
    assert fleet_commands.remove_cluster(unit, "web")
    assert unit.did() == [
        ("network/blue", networks.Released("web")),
        ("container_manager/prod", managers.Released("web")),
        ("cluster/web", clusters.Removed()),
    ]
    unit.network("blue").remove()
    fleet_commands.remove_container_manager(unit, unit.secrets, "prod")
    assert unit.secrets.kept == {}


def test_a_cluster_that_is_removed_in_stages_uses_its_network_until_it_is_gone(
    unit: Fleet,
) -> None:
    fleet_commands.create_cluster(unit, "web", "blue", "")
    for n in range(REMOVAL_BATCH_HOSTS + 1):
        fleet_commands.register_host(
            unit, unit.secrets, f"10.1.{n // 250}.{n % 250}", request("web")
        )
    assert not fleet_commands.remove_cluster(unit, "web")
    assert unit.refused(lambda: unit.network("blue").remove()).kind == "conflict"
    assert fleet_commands.go_on_removing(unit, "web")
    unit.network("blue").remove()


def test_what_a_new_cluster_would_use_must_be_there(unit: Fleet) -> None:
    for network, manager, key in (
        ("red", "", "network"),
        ("red", "none", "network"),
        ("blue", "none", "container_manager"),
    ):
        refusal = unit.refused(
            lambda n=network, m=manager: fleet_commands.create_cluster(unit, "c", n, m)  # type: ignore[misc] # bound early
        )
        assert (refusal.kind, refusal.key) == ("conflict", key)
    assert unit.network("blue").clusters == set()


def test_a_cluster_that_exists_otherwise_is_a_conflict_and_takes_up_nothing(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "blue", "lab")
    for network, manager, key in (
        ("default", "lab", "network"),
        ("blue", "prod", "container_manager"),
        ("blue", "", "container_manager"),
    ):
        refusal = unit.refused(
            lambda n=network, m=manager: fleet_commands.create_cluster(unit, "web", n, m)  # type: ignore[misc] # bound early
        )
        assert (refusal.kind, refusal.key) == ("conflict", key)
    assert unit.container_manager("prod").clusters == set()


def test_a_token_is_kept_and_the_same_or_its_mask_is_no_news(unit: Fleet) -> None:
    assert unit.secrets.kept == {"container_manager/prod": TOKEN.encode()}
    unit.manage("prod", "openshift", server_url=URL, token=TOKEN)
    unit.manage("prod", "openshift", server_url=URL, token=MASK)
    assert unit.did() == []


def test_another_token_is_a_conflict(unit: Fleet) -> None:
    refusal = unit.refused(
        lambda: unit.manage("prod", "openshift", server_url=URL, token=TOKEN + "x")
    )
    assert (refusal.kind, refusal.key) == ("conflict", "options.token")
    assert unit.secrets.kept == {"container_manager/prod": TOKEN.encode()}


def test_a_mask_without_a_token_behind_it_is_invalid(unit: Fleet) -> None:
    unit.manage("bare", "openshift", server_url=URL)
    fleet_commands.remove_container_manager(unit, unit.secrets, "prod")
    for name in ("bare", "new", "prod"):
        refusal = unit.refused(
            lambda n=name: unit.manage(n, "openshift", server_url=URL, token=MASK)  # type: ignore[misc] # bound early
        )
        assert (refusal.kind, refusal.key) == ("invalid", "options.token")
    assert unit.secrets.kept == {}


def test_a_trivial_manager_has_a_node_and_the_host_is_active_at_once(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "lab")
    unit.ready(A)
    fleet_commands.join(unit, "web", A)
    assert unit.did() == [
        ("cluster/web", HostJoined(A)),
        (f"host/{A}", JoinedCluster("web")),
        ("container_manager/lab", NodeRegistered(A)),
        (f"host/{A}", Activated()),
    ]
    fleet_commands.leave(unit, "web", A)
    assert unit.did() == [
        ("cluster/web", HostLeft(A, "taken_out")),
        ("container_manager/lab", NodeRemoved(A)),
        (f"host/{A}", LeftCluster("web", "taken_out")),
    ]


def test_a_host_registered_into_it_is_a_node_once_it_is_set_up(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "lab")
    fleet_commands.register_host(unit, unit.secrets, A, request("web"))
    assert unit.container_manager("lab").nodes == set()
    subject = Subject(A, unit.host(A).incarnation)
    investigation.settle(unit, subject, FACTS)
    assert unit.container_manager("lab").nodes == {A}
    assert unit.host(A).status == "active"
    investigation.fail(unit, subject, "unreachable", "off")
    investigation.settle(unit, subject, FACTS)
    assert unit.host(A).status == "active"


@pytest.mark.parametrize("way", ["host", "member", "swap", "cluster"])
def test_whichever_way_a_host_goes_it_is_a_node_no_longer(unit: Fleet, way: str) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "lab")
    unit.ready(A, "web")
    unit.ready(B)
    match way:
        case "host":
            fleet_commands.remove_host(unit, unit.secrets, A)
        case "member":
            fleet_commands.leave(unit, "web", A)
        case "swap":
            fleet_commands.replace_members(unit, "web", [A], [])
        case _:
            fleet_commands.remove_cluster(unit, "web")
    assert unit.container_manager("lab").nodes == set()


def test_a_cluster_takes_only_its_own_nodes_along(unit: Fleet) -> None:
    for name, address in (("web", A), ("db", B)):
        fleet_commands.create_cluster(unit, name, "default", "lab")
        unit.ready(address, name)
    fleet_commands.remove_cluster(unit, "web")
    assert unit.container_manager("lab").nodes == {B}


def mark(unit: Fleet, version: int) -> str:
    """What a node carries that was first wanted by this version."""
    return f"container_manager/prod@{version} {unit.act.at}"


def test_a_host_waits_to_be_registered_with_a_manager_that_is_elsewhere(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "prod")
    unit.ready(A, "web")
    unit.ready(B)
    fleet_commands.join(unit, "web", B)
    assert unit.did() == [
        ("cluster/web", HostJoined(B)),
        (f"host/{B}", JoinedCluster("web")),
        ("container_manager/prod", NodeWanted(B, "web", mark(unit, 4))),
    ]
    assert {unit.host(address).status for address in (A, B)} == {"disassociated"}
    node_outcomes.registered(unit, "prod", B, found=False)
    assert unit.did() == [
        ("container_manager/prod", NodeRegistered(B)),
        (f"host/{B}", Activated()),
    ]
    node_outcomes.registered(unit, "prod", B, found=False)
    assert unit.did() == []


def test_a_host_that_failed_meanwhile_is_active_once_it_answers(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "prod")
    unit.ready(A, "web")
    subject = Subject(A, unit.host(A).incarnation)
    investigation.fail(unit, subject, "unreachable", "off")
    node_outcomes.registered(unit, "prod", A, found=True)
    assert unit.host(A).status == "failed"
    investigation.settle(unit, subject, FACTS)
    assert unit.host(A).status == "active"


@pytest.mark.parametrize("way", ["host", "member", "swap", "cluster"])
def test_whichever_way_a_host_goes_its_manager_is_to_be_told(unit: Fleet, way: str) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "prod")
    unit.ready(A, "web")
    node_outcomes.registered(unit, "prod", A, found=False)
    match way:
        case "host":
            fleet_commands.remove_host(unit, unit.secrets, A)
        case "member":
            fleet_commands.leave(unit, "web", A)
        case "swap":
            fleet_commands.replace_members(unit, "web", [A], [])
        case _:
            fleet_commands.remove_cluster(unit, "web")
    manager = unit.container_manager("prod")
    assert (manager.nodes, manager.unwanted) == (set(), {A})
    node_outcomes.removed(unit, unit.secrets, "prod", A, left=False)
    assert not manager.has_wishes


def test_what_was_told_and_is_not_wished_any_more_changes_nothing(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "prod")
    unit.ready(A, "web")
    fleet_commands.leave(unit, "web", A)
    unit.did()
    node_outcomes.registered(unit, "prod", A, found=False)  # it was on its way
    assert unit.did() == []
    assert unit.host(A).status == "disassociated"
    fleet_commands.join(unit, "web", A)
    unit.did()
    node_outcomes.removed(unit, unit.secrets, "prod", A, left=False)
    assert unit.did() == []


def test_a_token_is_kept_until_its_manager_was_told_or_is_given_up(unit: Fleet) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "prod")
    unit.ready(A, "web")
    node_outcomes.registered(unit, "prod", A, found=False)
    fleet_commands.remove_cluster(unit, "web")
    fleet_commands.remove_container_manager(unit, unit.secrets, "prod")
    assert unit.secrets.kept.keys() >= {"container_manager/prod"}
    refusal = unit.refused(lambda: unit.manage("prod", "openshift", server_url=URL, token=MASK))
    assert (refusal.kind, refusal.key) == ("invalid", "options.token")
    node_outcomes.removed(unit, unit.secrets, "prod", A, left=False)
    assert "container_manager/prod" not in unit.secrets.kept


@pytest.mark.parametrize("token", [{}, {"token": "another"}])
def test_a_manager_of_the_same_name_has_nothing_of_the_one_before(
    unit: Fleet, token: dict[str, str]
) -> None:
    fleet_commands.create_cluster(unit, "web", "default", "prod")
    unit.ready(A, "web")
    fleet_commands.remove_cluster(unit, "web")
    fleet_commands.remove_container_manager(unit, unit.secrets, "prod")
    unit.manage("prod", "openshift", server_url=URL, **token)
    kept = unit.secrets.kept.get("container_manager/prod")
    assert kept == (token["token"].encode() if token else None)
    assert not unit.container_manager("prod").has_wishes


def test_members_of_before_are_wished_for(unit: Fleet) -> None:
    unit.ready(A)
    fleet_commands.create_cluster(unit, "web", "default", "prod")
    unit.cluster("web").add(A)
    unit.host(A).join_cluster("web")
    unit.ready(B)
    for address in (A, B):
        node_outcomes.want_node(unit, address)
    assert unit.container_manager("prod").wanted == {A}
