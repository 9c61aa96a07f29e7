"""Operations on clusters of hosts that are nodes: pods leave first, and may come back after."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.operations.rolled import Rolled, outcomes, reboots, upgrades
from tests.end_to_end.operations.test_container_managers import TOKEN, manage, ok
from tests.end_to_end.operations.test_operations_killed import until_over
from tests.fleet import Fleet, Host
from tests.runners.container_managers.server import ApiServer
from tests.support.certificates import Authority
from tests.support.service import Service, wait_for

CORDONED = "commissaire/cordoned"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """With TLS, and for those who have the token."""
    with ApiServer(Authority(tmp_path, "kubernetes-ca"), token=TOKEN) as running:
        yield running


class Nodes(Rolled):
    """A cluster of nodes that are Ready, with a pod each that may leave and one that stays."""

    def __init__(self, service: Service, server: ApiServer, hosts: list[Host]) -> None:
        manage(service, server)
        self.service, self.hosts, self.cluster, self.name = service, hosts, "web", ""
        self.server = server
        for host in hosts:
            ok(service.register(host, cluster="web"))
        for number, host in enumerate(hosts):
            service.wait_for_status(host.address, "active")
            with server.lock:
                server.objects.set_ready(host.address)
                server.objects.add_pod(host.address, f"web-{number}")
                server.objects.add_pod(host.address, f"agent-{number}", controller="DaemonSet")

    def is_cordoned(self, host: Host) -> bool:
        """Whether its node gets no pods."""
        with self.server.lock:
            return bool(self.server.objects.nodes[host.address]["spec"].get("unschedulable"))

    def pods(self, host: Host) -> int:
        """How many are there."""
        with self.server.lock:
            return len(self.server.objects.pods_of(host.address))


def test_pods_leave_before_the_upgrade_and_the_node_is_used_again_after_it(
    service: Service, fleet: Fleet, server: ApiServer
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    nodes = Nodes(service, server, hosts)
    plan = service.client.put("/cluster/web/upgrade", json={"dry_run": True}).json()
    assert plan["drained"] == [host.address for host in hosts]
    server.objects.budgets["default", "web-0"] = 1
    nodes.begin("upgrade", healthy_for_s=0.5)
    wait_for(lambda: nodes.is_cordoned(hosts[0]))
    wait_for(lambda: server.requests("POST", "web-0/eviction"))
    assert nodes.record["hosts"][0]["step"] == "drain"
    assert upgrades(hosts[0]) == 0
    del server.objects.budgets["default", "web-0"]
    operation = nodes.over()
    assert operation["status"] == "finished", operation
    assert operation["options"]["drain"] is True
    assert sorted(server.objects.evicted) == ["default/web-0", "default/web-1"]
    assert [nodes.pods(host) for host in hosts] == [1, 1], "a DaemonSet's stays"
    assert not any(nodes.is_cordoned(host) for host in hosts)
    assert [upgrades(host) for host in hosts] == [1, 1]


def test_pods_that_do_not_leave_fail_the_host_and_nothing_runs_there(
    service: Service, fleet: Fleet, server: ApiServer
) -> None:
    host = fleet.add("fedora")
    nodes = Nodes(service, server, [host])
    server.objects.budgets["default", "web-0"] = None
    nodes.begin("upgrade", step_timeout_s=2)
    operation = nodes.over()
    assert outcomes(operation) == ["failed"]
    assert "disruption budget" in operation["hosts"][0]["reason"]
    assert upgrades(host) == 0
    wait_for(lambda: not nodes.is_cordoned(host))


def test_a_host_that_may_be_broken_stays_cordoned_until_a_retry_succeeds(
    service: Service, fleet: Fleet, server: ApiServer
) -> None:
    host = fleet.add("fedora")
    nodes = Nodes(service, server, [host])
    host.set("package_status", 7)
    nodes.begin("upgrade")
    operation = nodes.over()
    assert "stays cordoned" in operation["hosts"][0]["reason"]
    assert nodes.is_cordoned(host)
    host.set("package_status", 0)
    nodes.retry()
    assert nodes.over()["status"] == "finished"
    assert not nodes.is_cordoned(host)


def test_a_node_that_is_not_ready_is_not_healthy(
    service: Service, fleet: Fleet, server: ApiServer
) -> None:
    host = fleet.add("fedora")
    nodes = Nodes(service, server, [host])
    with server.lock:
        server.objects.set_ready(host.address, "False", "KubeletNotReady")
    nodes.begin("restart", healthy_for_s=0.5, step_timeout_s=4, drain=False)
    operation = nodes.over()
    assert outcomes(operation) == ["failed"]
    assert "not Ready" in operation["hosts"][0]["reason"]
    assert not server.objects.evicted


def test_cancelling_uncordons_also_when_the_manager_was_down_then(
    service: Service, fleet: Fleet, server: ApiServer
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    nodes = Nodes(service, server, hosts)
    server.objects.budgets["default", "web-0"] = 1
    nodes.begin("upgrade")
    wait_for(lambda: nodes.is_cordoned(hosts[0]))
    with server.away():
        nodes.steer("cancelled")
        assert nodes.over()["status"] == "cancelled"
        assert nodes.is_cordoned(hosts[0])
        service.kill()
        service.start()
    wait_for(lambda: not nodes.is_cordoned(hosts[0]))
    assert [upgrades(host) for host in hosts] == [0, 0]


def test_a_manager_that_is_down_is_waited_for_within_the_limit(
    service: Service, fleet: Fleet, server: ApiServer
) -> None:
    host = fleet.add("fedora")
    nodes = Nodes(service, server, [host])
    with server.away():
        nodes.begin("upgrade")
        wait_for(lambda: nodes.record["hosts"][0]["step"] == "drain")
        ok(service.client.get("/cluster/web"))
    assert nodes.over()["status"] == "finished"
    assert not nodes.is_cordoned(host)


@pytest.mark.dear_on("sqlite")
@pytest.mark.parametrize("seed", [1])
def test_after_kill_9_each_node_was_drained_upgraded_once_and_uncordoned(
    seed: int, service: Service, fleet: Fleet, server: ApiServer
) -> None:
    chance = random.Random(seed)
    hosts = fleet.add_many(["fedora", "debian", "centos"])
    for host in hosts:
        host.set("package_seconds", 1)
    server.objects.grace_s = 0.5
    nodes = Nodes(service, server, hosts)
    nodes.begin("upgrade", max_parallel=2, reboot="always")
    kills = until_over(service, nodes, chance)
    assert kills > 0, "the service has lived too long for this to prove anything"
    assert nodes.record["status"] == "finished", nodes.record
    assert [upgrades(host) for host in hosts] == [1] * 3
    assert [reboots(host) for host in hosts] == [1] * 3
    assert sorted(server.objects.evicted) == [f"default/web-{number}" for number in range(3)]
    assert not any(nodes.is_cordoned(host) for host in hosts)
    annotations = [node["metadata"]["annotations"] for node in server.objects.nodes.values()]
    assert all(CORDONED not in each for each in annotations)
