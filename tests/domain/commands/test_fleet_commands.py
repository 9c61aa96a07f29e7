"""Commands that span aggregates: both sides change, or neither does."""

import pytest

from domain.aggregates import cluster as clusters
from domain.aggregates import host_events as hosts
from domain.aggregates.cluster import HostJoined, HostLeft, RemovalStarted
from domain.aggregates.host_events import (
    Activated,
    Bootstrapped,
    JoinedCluster,
    LeftCluster,
    Registered,
)
from domain.commands import fleet_commands
from domain.commands.fleet_commands import REMOVAL_BATCH_HOSTS
from tests.domain.memory_unit import FACTS, MemorySecrets, MemoryUnit, request

A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


class Fleet(MemoryUnit):
    """Two empty clusters, and hosts as they are needed."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = MemorySecrets()
        for name in ("web", "db"):
            fleet_commands.create_cluster(self, name, "default", "")
        self.did()

    def register(self, address: str, **asked: object) -> None:
        """Register a host as a client does."""
        fleet_commands.register_host(self, self.secrets, address, request(**asked))  # type: ignore[arg-type] # checked there

    def ready(self, *addresses: str) -> None:
        """Hosts that are set up and in no cluster."""
        for address in addresses:
            self.register(address)
            host = self.host(address)
            host.gather_facts(FACTS)
            host.finish_bootstrap()
        self.did()


@pytest.fixture
def unit() -> Fleet:
    """A fleet."""
    return Fleet()


def test_a_host_registered_into_a_cluster_is_a_member_at_once_and_its_key_is_kept(
    unit: Fleet,
) -> None:
    unit.register(A, cluster="web", user="ops", port=2222, source="rack 7")
    assert unit.did() == [
        ("cluster/web", HostJoined(A)),
        (f"host/{A}", Registered(A, "ops", 2222, "SHA256:key-1", "rack 7")),
        (f"host/{A}", JoinedCluster("web")),
    ]
    assert unit.secrets.kept == {f"host/{A}": b"key-1"}


def test_what_a_client_did_not_say_is_root_on_port_22(unit: Fleet) -> None:
    unit.register(A)
    assert unit.did() == [(f"host/{A}", Registered(A, "root", 22, "SHA256:key-1"))]


def test_the_same_registration_again_is_no_news_and_its_key_is_not_parsed(unit: Fleet) -> None:
    unit.secrets.kept[f"host/{A}"] = b"kept before the parser knew better"
    unit.register(A, cluster="web")
    unit.secrets.kept[f"host/{A}"] = b"no key any more"
    unit.did()
    unit.register(A, key=b"no key any more", cluster="web")
    unit.register(A, key=b"no key any more", user="root", port=22, source="")
    assert unit.did() == []


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"key": b"key-2"}, "ssh_priv_key"),
        ({"cluster": "db"}, "cluster"),
        ({"cluster": "nowhere"}, "cluster"),
        ({"user": "ops"}, "remote_user"),
        ({"port": 2222}, "ssh_port"),
        ({"source": "rack 7"}, "source"),
    ],
)
def test_another_registration_of_a_registered_host_contradicts(
    unit: Fleet, asked: dict[str, object], key: str
) -> None:
    unit.register(A, cluster="web")
    refusal = unit.refused(lambda: unit.register(A, **asked))
    assert (refusal.kind, refusal.key) == ("conflict", key)


def test_a_host_is_not_registered_into_an_unknown_cluster_nor_with_a_bad_key(unit: Fleet) -> None:
    assert unit.refused(lambda: unit.register(A, cluster="nowhere")).kind == "conflict"
    refusal = unit.refused(lambda: unit.register(A, cluster="web", key=b"junk"))
    assert (refusal.kind, refusal.key) == ("invalid", "ssh_priv_key")
    assert not unit.host(A).registered
    assert not unit.cluster("web").members
    assert not unit.secrets.kept


def test_a_removed_host_left_its_cluster_its_key_is_destroyed_and_it_can_come_back(
    unit: Fleet,
) -> None:
    unit.register(A, cluster="web")
    unit.did()
    fleet_commands.remove_host(unit, unit.secrets, A)
    assert unit.did() == [
        ("cluster/web", HostLeft(A, "host_removed")),
        (f"host/{A}", LeftCluster("web", "host_removed")),
        (f"host/{A}", hosts.Removed()),
    ]
    assert not unit.secrets.kept
    unit.register(A, key=b"key-2", cluster="db")
    assert unit.host(A).cluster == "db"
    assert (
        unit.refused(lambda: fleet_commands.remove_host(unit, unit.secrets, B)).kind == "not_found"
    )


def test_a_ready_host_joins_and_is_active_where_no_manager_has_a_say(unit: Fleet) -> None:
    unit.ready(A)
    fleet_commands.join(unit, "web", A)
    assert unit.did() == [
        ("cluster/web", HostJoined(A)),
        (f"host/{A}", JoinedCluster("web")),
        (f"host/{A}", Activated()),
    ]
    fleet_commands.join(unit, "web", A)
    assert unit.did() == []


def test_a_newcomer_that_is_not_ready_or_elsewhere_is_refused_and_a_member_is_not_judged(
    unit: Fleet,
) -> None:
    unit.register(A, cluster="web")
    unit.register(B)
    fleet_commands.join(unit, "web", A)
    assert unit.refused(lambda: fleet_commands.join(unit, "web", B)).kind == "conflict"
    assert unit.refused(lambda: fleet_commands.join(unit, "db", A)).kind == "conflict"
    assert unit.refused(lambda: fleet_commands.join(unit, "web", C)).kind == "not_found"
    assert unit.refused(lambda: fleet_commands.join(unit, "nowhere", A)).kind == "not_found"


def test_leaving_changes_both_sides_and_is_no_news_for_who_is_no_member(unit: Fleet) -> None:
    unit.ready(A)
    fleet_commands.join(unit, "web", A)
    unit.did()
    fleet_commands.leave(unit, "web", A)
    assert unit.did() == [
        ("cluster/web", HostLeft(A, "taken_out")),
        (f"host/{A}", LeftCluster("web", "taken_out")),
    ]
    fleet_commands.leave(unit, "web", A)
    fleet_commands.leave(unit, "web", "never.heard.of")
    assert unit.did() == []
    assert unit.refused(lambda: fleet_commands.leave(unit, "nowhere", A)).kind == "not_found"


def test_a_member_list_is_swapped_and_who_stays_keeps_its_place_unjudged(unit: Fleet) -> None:
    unit.ready(A, B, C)
    for address in (A, B):
        fleet_commands.join(unit, "web", address)
    unit.host(B).fail("unreachable", "It is off.")
    unit.did()
    fleet_commands.replace_members(unit, "web", [B, A], [C, B])
    assert unit.did() == [
        ("cluster/web", HostLeft(A, "taken_out")),
        (f"host/{A}", LeftCluster("web", "taken_out")),
        ("cluster/web", HostJoined(C)),
        (f"host/{C}", JoinedCluster("web")),
        (f"host/{C}", Activated()),
    ]
    assert list(unit.cluster("web").members) == [B, C]


def test_a_swap_whose_answer_was_lost_can_be_sent_again(unit: Fleet) -> None:
    unit.ready(A)
    fleet_commands.replace_members(unit, "web", [], [A, A])
    unit.did()
    fleet_commands.replace_members(unit, "web", [], [A])
    assert unit.did() == []


@pytest.mark.parametrize("newcomer", [B, C, "never.heard.of"])
def test_a_swap_is_all_or_nothing(unit: Fleet, newcomer: str) -> None:
    unit.ready(A, B)
    unit.register(C)  # not set up
    fleet_commands.join(unit, "db", B)
    before = dict(unit.cluster("web").members)
    refusal = unit.refused(lambda: fleet_commands.replace_members(unit, "web", [], [A, newcomer]))
    assert refusal.kind == "conflict"
    assert newcomer in refusal.sentence
    assert unit.cluster("web").members == before
    assert unit.host(A).cluster == ""


def test_a_list_of_hosts_that_nobody_knows_is_refused_at_the_first(unit: Fleet) -> None:
    unknown = [f"10.9.0.{number}" for number in range(200)]
    refusal = unit.refused(lambda: fleet_commands.replace_members(unit, "web", [], unknown))
    assert (refusal.kind, refusal.key) == ("conflict", "new")
    assert not unit.hosts.keys() & set(unknown[1:])  # to load each would hold everybody up


def test_a_swap_of_other_members_than_there_are_is_a_conflict(unit: Fleet) -> None:
    unit.ready(A, B)
    fleet_commands.join(unit, "web", A)
    refusal = unit.refused(lambda: fleet_commands.replace_members(unit, "web", [], [B]))
    assert (refusal.kind, refusal.key) == ("conflict", "old")


def test_a_small_cluster_is_removed_at_once_and_its_hosts_stay(unit: Fleet) -> None:
    unit.ready(A)
    fleet_commands.join(unit, "web", A)
    unit.did()
    assert fleet_commands.remove_cluster(unit, "web")
    assert unit.did()[-1] == ("cluster/web", clusters.Removed())
    assert (unit.host(A).status, unit.host(A).cluster) == ("disassociated", "")
    assert unit.refused(lambda: fleet_commands.remove_cluster(unit, "web")).kind == "not_found"


def large(unit: Fleet, hosts_count: int) -> None:
    """Fill `web`."""
    for n in range(hosts_count):
        unit.register(f"10.1.{n // 250}.{n % 250}", cluster="web")
    unit.did()


def test_a_large_cluster_is_removed_in_stages_while_nobody_joins(unit: Fleet) -> None:
    large(unit, 2 * REMOVAL_BATCH_HOSTS + 1)
    unit.ready(A)
    assert not fleet_commands.remove_cluster(unit, "web")
    first = unit.did()
    assert first[0] == ("cluster/web", RemovalStarted())
    assert len(first) == 1 + 2 * REMOVAL_BATCH_HOSTS
    assert unit.refused(lambda: fleet_commands.join(unit, "web", A)).kind == "conflict"
    assert unit.refused(lambda: unit.register(B, cluster="web")).kind == "conflict"
    assert not fleet_commands.go_on_removing(unit, "web")
    assert fleet_commands.go_on_removing(unit, "web")
    assert all(host.cluster == "" for host in unit.hosts.values())


def test_a_removal_goes_on_only_with_the_cluster_that_it_began_with(unit: Fleet) -> None:
    large(unit, REMOVAL_BATCH_HOSTS + 1)
    assert not fleet_commands.remove_cluster(unit, "web")
    assert fleet_commands.remove_cluster(unit, "web")  # another client's, which was faster
    fleet_commands.create_cluster(unit, "web", "default", "")
    unit.register(A, cluster="web")
    unit.did()
    assert fleet_commands.go_on_removing(unit, "web")
    assert unit.did() == []
    assert list(unit.cluster("web").members) == [A]


def test_networks_and_managers_that_do_not_exist_are_refused(unit: Fleet) -> None:
    for network, manager, key in (("x", "", "network"), ("default", "x", "container_manager")):
        refusal = unit.refused(
            lambda n=network, m=manager: fleet_commands.create_cluster(unit, "c", n, m)  # type: ignore[misc] # bound early
        )
        assert (refusal.kind, refusal.key) == ("conflict", key)


def test_a_set_up_member_of_a_registered_cluster_is_activated(unit: Fleet) -> None:
    unit.register(A, cluster="web")
    host = unit.host(A)
    host.gather_facts(FACTS)
    host.finish_bootstrap()
    fleet_commands.activate_where_nobody_else_must(unit, unit.cluster("web"), host)
    assert [event for _, event in unit.did()][-3:] == [FACTS, Bootstrapped(), Activated()]
