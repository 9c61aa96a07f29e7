"""Clusters of real hosts whose container manager is an API server, and which may be down."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest

from tests.fleet import Fleet
from tests.runners.container_managers.server import ApiServer
from tests.support.certificates import Authority
from tests.support.service import Service, wait_for

TOKEN = token_urlsafe(24)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """With TLS, and for those who have the token."""
    with ApiServer(Authority(tmp_path, "kubernetes-ca"), token=TOKEN) as running:
        yield running


def manage(service: Service, server: ApiServer, cluster: str = "web") -> None:
    """A cluster with this container manager."""
    assert server.authority is not None
    options = {
        "apiserver": f"{server.url}/api/",
        "token": TOKEN,
        "ca_path": str(server.authority.file),
    }
    put = service.client.put
    assert put("/containermanager/kube", json={"options": options}).status_code == 201
    body = {"container_manager": "kube"}
    assert put(f"/cluster/{cluster}", json=body).status_code == 201


def ok(answer: Any) -> None:
    """A success that took no time to speak of: nobody was waited for."""
    assert answer.status_code in (200, 201), answer.text
    assert answer.elapsed.total_seconds() < 5


def test_hosts_become_nodes_and_active_and_leave_with_their_cluster(
    service: Service, fleet: Fleet, server: ApiServer
) -> None:
    manage(service, server)
    hosts = fleet.add_many(["fedora", "debian"])
    for host in hosts:
        ok(service.register(host, cluster="web"))
    for host in hosts:
        service.wait_for_status(host.address, "active")
    assert sorted(server.objects.nodes) == sorted(host.address for host in hosts)
    server.objects.create_node({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}})
    ok(service.client.delete(f"/host/{hosts[0].address}"))
    wait_for(lambda: sorted(server.objects.nodes) == sorted([hosts[1].address, "mine"]))
    ok(service.client.delete("/cluster/web"))
    ok(service.client.delete("/containermanager/kube"))
    assert service.client.get("/containermanagers").json() == []
    wait_for(lambda: list(server.objects.nodes) == ["mine"])
    assert service.status(hosts[1].address) == "disassociated"
    assert TOKEN not in service.read_log()


def test_a_manager_that_is_down_blocks_nobody_and_is_told_later_after_kill_9_too(
    service: Service, fleet: Fleet, server: ApiServer
) -> None:
    manage(service, server)
    stays, leaves, comes = fleet.add_many(["fedora", "centos", "debian"])
    for host in (stays, leaves):
        ok(service.register(host, cluster="web"))
        service.wait_for_status(host.address, "active")
    with server.away():
        ok(service.register(comes, cluster="web"))
        ok(service.client.delete(f"/host/{leaves.address}"))
        service.wait_for_status(comes.address, "disassociated")
        wait_for(lambda: "container_manager.failed" in service.read_log())
        for path in (f"/host/{comes.address}/status", "/cluster/web", "/containermanager/kube"):
            ok(service.client.get(path))
        assert service.client.get(f"{service.url}/readyz").status_code == 200
        service.kill()
        service.start()
        ok(service.client.get("/hosts"))
    service.wait_for_status(comes.address, "active")
    wait_for(lambda: sorted(server.objects.nodes) == sorted([stays.address, comes.address]))
    posts = [asked.body["metadata"]["name"] for asked in server.requests("POST", "/nodes")]
    assert sorted(posts) == sorted(host.address for host in (stays, leaves, comes))


def test_a_status_has_the_last_report_until_it_is_too_old(
    tmp_path: Path, fleet: Fleet, server: ApiServer
) -> None:
    flags = ("--node-report-interval-s", "0.1", "--node-report-age-s", "2")
    with Service(tmp_path / "service", None, *flags) as service:
        manage(service, server)
        host = fleet.add("fedora")
        ok(service.register(host, cluster="web"))
        service.wait_for_status(host.address, "active")
        with server.lock:
            server.objects.set_ready(host.address)

        def report() -> Any:
            answer = service.client.get(f"/host/{host.address}/status")
            ok(answer)
            return answer.json()["container_manager"]

        wait_for(lambda: report().get("status") == "ok")
        assert report()["node"] == host.address
        with server.away():
            wait_for(lambda: report() == {})
        wait_for(lambda: report().get("status") == "ok")
