"""`/networks` and `/network/{name}`."""

import threading

import httpx
import pytest

from tests.web.service import WebService

SERVER = {"type": "flannel_server", "options": {"address": "192.168.152.101:8080"}}
BUILT_IN: dict[str, object] = {"name": "default", "type": "flannel_etcd", "options": {}}


def test_names_are_listed_sorted_with_the_built_in_one(api: httpx.Client) -> None:
    assert api.get("/networks").json() == ["default"]
    for name in ("web", "Blue", "a_1"):
        assert api.put(f"/network/{name}").status_code == 201
    for path in ("/networks", "/networks/"):
        assert api.get(path).json() == ["Blue", "a_1", "default", "web"]
    api.delete("/network/web")
    assert api.get("/networks").json() == ["Blue", "a_1", "default"]


def test_put_answers_the_record_as_it_was_sent_and_get_answers_the_same_bytes(
    api: httpx.Client,
) -> None:
    put = api.put("/network/blue", json={"name": "red", "unknown": 1, **SERVER})
    assert put.status_code == 201
    assert list(put.json()) == ["name", "type", "options"]
    assert put.json() == {"name": "blue", **SERVER}
    get = api.get("/network/blue/")
    assert (get.status_code, get.content) == (200, put.content)


def test_an_empty_body_is_flannel_with_etcd(api: httpx.Client) -> None:
    put = api.put("/network/blue")
    assert put.json() == {"name": "blue", "type": "flannel_etcd", "options": {}}
    nulls = api.put("/network/blue", json={"type": None, "options": None})
    assert (nulls.status_code, nulls.content) == (201, put.content)


def test_a_put_that_is_sent_again_is_answered_the_same_and_is_no_event(
    service: WebService, api: httpx.Client
) -> None:
    first = api.put("/network/blue", json=SERVER)
    again = api.put("/network/blue", json=SERVER)
    assert (again.status_code, again.content) == (201, first.content)
    assert service.topics() == ["network.created"]


def test_a_put_with_other_values_is_409_and_names_the_key(api: httpx.Client) -> None:
    api.put("/network/blue", json=SERVER)
    for body, key in (
        ({}, "type"),
        ({"type": "flannel_etcd"}, "type"),
        (SERVER | {"options": {"address": "192.168.152.102:8080"}}, "options.address"),
    ):
        answer = api.put("/network/blue", json=body)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["key"] == key
    assert api.get("/network/blue").json() == {"name": "blue", **SERVER}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"type": "vxlan"}, "type"),
        ({"type": 1}, "type"),
        ({"type": ""}, "type"),
        ({"options": []}, "options"),
        ({"options": "address"}, "options"),
        ({"options": {"address": "a:1"}}, "options.address"),
        ({"type": "flannel_server"}, "options.address"),
        ({"type": "flannel_server", "options": {"address": "10.0.0.1"}}, "options.address"),
        ({"type": "flannel_server", "options": {"address": 8080}}, "options.address"),
    ],
)
def test_a_body_that_makes_no_sense_is_400_and_named_whether_the_network_is_there_or_not(
    client: httpx.Client, body: dict[str, object], key: str
) -> None:
    client.put("/network/there", json=SERVER)
    for name in ("absent", "there", "default"):
        answer = client.put(f"/network/{name}", json=body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["key"] == key
    assert client.get("/network/absent").status_code == 404


def test_a_network_that_is_not_there_is_404(client: httpx.Client) -> None:
    for verb in ("GET", "DELETE"):
        for name in ("none", "a.b", "%FF"):
            answer = client.request(verb, f"/network/{name}")
            assert answer.status_code == 404
            assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.put("/network/a.b").status_code == 400
    assert client.put("/network/" + "a" * 65).status_code == 400


def test_a_deleted_network_is_gone_at_once_and_may_come_back_as_another(
    api: httpx.Client,
) -> None:
    api.put("/network/blue", json=SERVER)
    gone = api.delete("/network/blue")
    assert (gone.status_code, gone.json()) == (200, [])
    assert api.get("/network/blue").status_code == 404
    assert api.delete("/network/blue").status_code == 404
    assert api.put("/network/blue").json()["type"] == "flannel_etcd"


def test_the_built_in_network_is_there_stays_and_cannot_be_another(
    service: WebService, api: httpx.Client
) -> None:
    assert api.get("/network/default").json() == BUILT_IN
    same: list[dict[str, object]] = [{}, BUILT_IN, {"options": {}}]
    for body in same:
        again = api.put("/network/default", json=body)
        assert (again.status_code, again.json()) == (201, BUILT_IN)
    for other in (SERVER, {"options": {"prefix": "/net"}}):
        assert api.put("/network/default", json=other).status_code == 409
    for _ in range(2):
        assert api.delete("/network/default").status_code == 409
    assert api.get("/network/default").json() == BUILT_IN
    assert service.topics() == []


def test_a_network_cannot_be_deleted_while_a_cluster_uses_it(api: httpx.Client) -> None:
    api.put("/network/blue", json=SERVER)
    for name in ("web", "db"):
        created = api.put(f"/cluster/{name}", json={"network": "blue"})
        assert (created.status_code, created.json()["network"]) == (201, "blue")
    for name in ("web", "db"):
        refused = api.delete("/network/blue")
        assert refused.status_code == 409
        assert name in refused.json()["detail"]
        assert api.get("/network/blue").status_code == 200
        api.delete(f"/cluster/{name}")
    assert api.delete("/network/blue").status_code == 200
    assert api.put("/cluster/web", json={"network": "blue"}).status_code == 409


def test_a_cluster_that_exists_with_another_network_is_409(api: httpx.Client) -> None:
    api.put("/network/blue", json=SERVER)
    api.put("/cluster/web", json={"network": "blue"})
    assert api.put("/cluster/web", json={"network": "blue"}).status_code == 201
    others: list[dict[str, str]] = [{}, {"network": "default"}, {"network": "none"}]
    for other in others:
        answer = api.put("/cluster/web", json=other)
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["key"] == "network"


def test_whoever_is_first_of_one_who_uses_and_one_who_deletes_the_other_is_refused(
    service: WebService, api: httpx.Client
) -> None:
    for attempt in range(10):
        api.put("/network/blue", json=SERVER)
        both = threading.Barrier(2)
        statuses: dict[str, int] = {}

        def ask(
            verb: str, path: str, all_set: threading.Barrier, found: dict[str, int], **body: object
        ) -> None:
            with service.client() as client:
                all_set.wait()
                found[verb] = client.request(verb, path, **body).status_code  # type: ignore[arg-type] # httpx knows them

        name = f"c{attempt}"
        use = threading.Thread(
            target=ask,
            args=("PUT", f"/cluster/{name}", both, statuses),
            kwargs={"json": {"network": "blue"}},
        )
        delete = threading.Thread(target=ask, args=("DELETE", "/network/blue", both, statuses))
        for thread in (use, delete):
            thread.start()
        for thread in (use, delete):
            thread.join()
        assert statuses in ({"PUT": 201, "DELETE": 409}, {"PUT": 409, "DELETE": 200})
        used = statuses["PUT"] == 201
        assert api.get(f"/cluster/{name}").status_code == (200 if used else 404)
        assert api.get("/network/blue").status_code == (200 if used else 404)
        api.delete(f"/cluster/{name}")


def test_get_carries_a_weak_etag_that_changes_only_with_the_record(api: httpx.Client) -> None:
    api.put("/network/blue", json=SERVER)
    for path in ("/networks", "/network/blue", "/network/default"):
        tag = api.get(path).headers["ETag"]
        assert tag.startswith('W/"')
        again = api.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    tag = api.get("/network/blue").headers["ETag"]
    api.put("/cluster/web", json={"network": "blue"})
    assert api.get("/network/blue").headers["ETag"] == tag
    api.delete("/cluster/web")
    api.delete("/network/blue")
    api.put("/network/blue", json=SERVER)
    assert api.get("/network/blue").headers["ETag"] != tag


def test_viewers_look_and_operators_change(client: httpx.Client, front: WebService) -> None:
    with front.client("viewer") as viewer, front.client("operator") as operator:
        for path in ("/networks", "/network/default"):
            assert viewer.get(path).status_code == 200
        assert viewer.put("/network/roles", json=SERVER).status_code == 403
        assert operator.put("/network/roles", json=SERVER).status_code == 201
        assert viewer.delete("/network/roles").status_code == 403
        assert operator.delete("/network/roles").status_code == 200
