"""`/clusters` and `/cluster/{name}`."""

import threading
from functools import partial

import httpx

from domain.commands import fleet_commands
from domain.commands.fleet_commands import REMOVAL_BATCH_HOSTS, HostRequest, OfferedKey
from tests.web.service import WebService, new_key

RECORD_KEYS = ["name", "status", "network", "container_manager", "hosts"]


def test_names_are_listed_sorted_at_both_paths(api: httpx.Client) -> None:
    assert api.get("/clusters").json() == []
    for name in ("web", "DB", "cache_1"):
        assert api.put(f"/cluster/{name}").status_code == 201
    for path in ("/clusters", "/cluster", "/clusters/", "/cluster/"):
        answer = api.get(path)
        assert answer.status_code == 200
        assert answer.json() == ["DB", "cache_1", "web"]


def test_put_answers_the_record_and_get_answers_the_same_bytes(api: httpx.Client) -> None:
    put = api.put("/cluster/web", json={"network": "default", "container_manager": ""})
    assert put.status_code == 201
    assert list(put.json()) == RECORD_KEYS
    assert put.json() == {
        "name": "web",
        "status": "ok",
        "network": "default",
        "container_manager": "",
        "hosts": {"total": 0, "available": 0, "unavailable": 0},
    }
    get = api.get("/cluster/web")
    assert get.status_code == 200
    assert get.content == put.content


def test_a_put_that_is_sent_again_is_answered_the_same_and_is_no_event(
    service: WebService, api: httpx.Client
) -> None:
    first = api.put("/cluster/web")
    again = api.put("/cluster/web", json={"network": "default", "type": "host"})
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert service.topics() == ["cluster.created"]


def test_a_network_or_container_manager_that_does_not_exist_is_409(api: httpx.Client) -> None:
    for body in ({"network": "flannel9"}, {"container_manager": "prod"}):
        answer = api.put("/cluster/web", json=body)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["key"] == next(iter(body))
    assert api.get("/clusters").json() == []


def test_a_cluster_that_is_not_there_is_404(api: httpx.Client) -> None:
    for verb in ("GET", "DELETE"):
        answer = api.request(verb, "/cluster/none")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_deleted_cluster_is_gone_at_once_and_may_come_back(api: httpx.Client) -> None:
    api.put("/cluster/web")
    gone = api.delete("/cluster/web")
    assert (gone.status_code, gone.json()) == (200, [])
    assert api.get("/cluster/web").status_code == 404
    assert api.delete("/cluster/web").status_code == 404
    assert api.put("/cluster/web").status_code == 201
    assert api.get("/clusters").json() == ["web"]


def test_the_hosts_of_a_deleted_cluster_stay_and_become_disassociated(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/cluster/web")
    api.put("/host/10.0.0.1", json={"ssh_priv_key": key, "cluster": "web"})
    service.settle("10.0.0.1")
    assert api.get("/host/10.0.0.1").json()["status"] == "active"
    assert api.delete("/cluster/web").status_code == 200
    assert api.get("/host/10.0.0.1").json()["status"] == "disassociated"


def test_counts_and_status_follow_the_members(
    service: WebService, api: httpx.Client, key: str
) -> None:
    api.put("/cluster/web")
    for address in ("10.0.0.1", "10.0.0.2"):
        api.put(f"/host/{address}", json={"ssh_priv_key": key, "cluster": "web"})

    def told() -> tuple[str, dict[str, int]]:
        record = api.get("/cluster/web").json()
        return record["status"], record["hosts"]

    assert told() == ("failed", {"total": 2, "available": 0, "unavailable": 2})
    service.settle("10.0.0.1")
    assert told() == ("degraded", {"total": 2, "available": 1, "unavailable": 1})
    service.settle("10.0.0.2")
    assert told() == ("ok", {"total": 2, "available": 2, "unavailable": 0})
    service.fail("10.0.0.2", "Connection refused.")
    assert told() == ("degraded", {"total": 2, "available": 1, "unavailable": 1})


def fill(service: WebService, count: int) -> None:
    """A cluster `large` with so many hosts."""
    key = OfferedKey(new_key(), lambda raw: "SHA256:none")
    wanted = HostRequest(key, "large")
    for i in range(count):
        register = partial(
            fleet_commands.register_host,
            secrets=service.vault,
            address=f"10.{i // 250}.0.{i % 250 + 1}",
            request=wanted,
        )
        service.perform(register)


def test_a_large_cluster_is_removed_in_steps_by_two_who_ask_at_once(
    service: WebService, api: httpx.Client
) -> None:
    api.put("/cluster/large")
    fill(service, REMOVAL_BATCH_HOSTS * 2 + 1)
    statuses: list[int] = []

    def remove() -> None:
        with service.client("operator") as client:
            statuses.append(client.delete("/cluster/large").status_code)

    both = [threading.Thread(target=remove) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert 200 in statuses
    assert set(statuses) <= {200, 404}
    assert api.get("/cluster/large").status_code == 404
    assert service.topics().count("cluster.removed") == 1
    assert service.topics().count("cluster.host_left") == REMOVAL_BATCH_HOSTS * 2 + 1
    assert {host["status"] for host in api.get("/hosts").json()} == {"investigating"}


def test_impossible_names_are_400_where_a_put_would_create_and_404_elsewhere(
    api: httpx.Client,
) -> None:
    for name in ("a" * 65, "a.b", "%C3%A4", "a%20b", "a%2Fb", "%00", "..", "%FF", "a%0Ab", "%zz"):
        put = api.put(f"/cluster/{name}")
        assert put.status_code in ({404} if name == ".." else {400}), name
        assert api.get(f"/cluster/{name}").status_code == 404, name
        assert api.delete(f"/cluster/{name}").status_code == 404, name
    assert api.get("/clusters").json() == []
