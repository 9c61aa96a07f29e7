"""A key that nobody knows: told with the nearest one, wherever it might have meant something."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.runners.http_server.raw_requests import AUTH, put, statuses
from tests.web.service import WebService, raw_answers
from web.http.unknown_keys import TOLD_MAX

ID = "01a216b9-2c47-78a6-bd22-a924e2488a9c"
TIME = "2015-12-17T15:48:18.710454"


@pytest.fixture(scope="module", autouse=True)
def host(front: WebService, client: httpx.Client, key: str) -> str:
    """The address of an active host of the cluster `web`."""
    assert client.put("/cluster/web").status_code == 201
    assert (
        client.put("/host/10.0.0.1", json={"ssh_priv_key": key, "cluster": "web"}).status_code
        == 201
    )
    front.settle("10.0.0.1")
    return "10.0.0.1"


def refusal(answer: httpx.Response) -> dict[str, Any]:
    """The one fault of a wrong request."""
    assert answer.status_code == 400, answer.text
    [fault] = answer.json()["errors"]
    assert fault["key"] in answer.json()["detail"]
    assert fault["message"] in answer.json()["detail"]
    return dict(fault)


@pytest.mark.parametrize("kind", ["upgrade", "restart", "deploy"])
@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("dryrun", "dry_run"),
        ("dry-run", "dry_run"),
        ("dryRun", "dry_run"),
        ("DRY_RUN", "dry_run"),
        ("dry_runn", "dry_run"),
        ("dry run", "dry_run"),
        ("maxparallel", "max_parallel"),
        ("max_failure", "max_failures"),
        ("step_timeout", "step_timeout_s"),
        ("healthy_for", "healthy_for_s"),
        ("rebot", "reboot"),
        ("drian", "drain"),
    ],
)
def test_a_misspelt_option_begins_nothing_and_is_told_what_was_meant(
    front: WebService, client: httpx.Client, kind: str, wrong: str, meant: str
) -> None:
    body: dict[str, object] = {"version": "1"} if kind == "deploy" else {}
    before = len(front.events)
    fault = refusal(client.put(f"/cluster/web/{kind}", json={**body, wrong: True}))
    assert fault == {"key": wrong, "message": f"is not known: did you mean {meant}?"}
    assert len(front.events) == before


def test_what_is_like_nothing_is_told_all_that_there_is(client: httpx.Client) -> None:
    fault = refusal(client.put("/cluster/web/upgrade", json={"zzz": 1}))
    assert "dry_run" in fault["message"]
    assert "max_parallel" in fault["message"]


@pytest.mark.parametrize("path", ["/cluster/web", "/cluster/web/hosts/10.0.0.1", "/host/10.0.0.1"])
@pytest.mark.parametrize("body", [b'{"dry_run": true}', b"dry_run", b"[]"])
def test_a_wish_beside_a_removal_is_not_passed_over(
    client: httpx.Client, front: WebService, path: str, body: bytes
) -> None:
    before = len(front.events)
    assert client.request("DELETE", path, content=body).status_code == 400
    assert len(front.events) == before


def test_null_is_as_if_the_key_were_not_there(client: httpx.Client) -> None:
    body = {"dryrun": None, "dry_run": True}
    assert client.put("/cluster/web/upgrade", json=body).status_code == 200


@pytest.mark.parametrize("narrowing", ["dry_run", "hosts", "plan"])
def test_null_of_what_narrows_an_operation_begins_nothing(
    client: httpx.Client, narrowing: str
) -> None:
    body = {"kind": "upgrade", "cluster": "web", narrowing: None}
    refused = client.post("/operations", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["key"]) == (400, narrowing)
    if narrowing == "dry_run":
        assert client.put("/cluster/web/upgrade", json={narrowing: None}).status_code == 400
    assert client.get("/operations").json() == []


@pytest.mark.parametrize("unknown", ["label", "labels", "addresses", "dry-run", "max_paralel"])
def test_null_of_a_key_that_a_post_does_not_know_begins_nothing_either(
    client: httpx.Client, unknown: str
) -> None:
    body = {"kind": "upgrade", "cluster": "web", unknown: None}
    refused = client.post("/operations", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["key"]) == (400, unknown)
    assert client.get("/operations").json() == []


@pytest.mark.parametrize("kind", ["upgrade", "restart", "deploy"])
def test_old_clients_send_the_record_back_with_a_change(client: httpx.Client, kind: str) -> None:
    body = {
        "name": "web",
        "status": "finished",
        f"{kind}ed": [{"address": "10.0.0.1"}],
        "in_process": [],
        "started_at": TIME,
        "finished_at": None,
        "dry_run": True,
        "version": "27.93",
    }
    if kind == "upgrade":
        body["upgraded"] = body.pop("upgradeed")
    if kind != "deploy":
        del body["version"]
    assert client.put(f"/cluster/web/{kind}", json=body).status_code == 200
    other = "restarted" if kind != "restart" else "deployed"
    refusal(client.put(f"/cluster/web/{kind}", json={**body, other: []}))


@pytest.mark.parametrize(
    ("path", "body", "wrong", "meant"),
    [
        (f"/operation/{ID}/state", {"state": "paused"}, "status", "state"),
        (f"/operation/{ID}/state", {"state": "paused"}, "dry_run", None),
        (f"/operation/{ID}/retry", {}, "max_parallel", None),
        (f"/operation/{ID}/retry", {}, "dry_run", None),
        ("/host/10.0.0.1/creds", {"ssh_priv_key": "KEY"}, "uncheked", "unchecked"),
        ("/host/10.0.0.1/creds", {"ssh_priv_key": "KEY"}, "port", "ssh_port"),
        ("/host/10.0.0.1/hostkey", {"fingerprint": "SHA256:" + "A" * 43}, "finger", "fingerprint"),
    ],
)
def test_what_decides_something_knows_all_of_its_keys(
    front: WebService,
    client: httpx.Client,
    key: str,
    path: str,
    body: dict[str, str],
    wrong: str,
    meant: str | None,
) -> None:
    before = len(front.events)
    body = {name: text.replace("KEY", key) for name, text in body.items()}
    fault = refusal(client.put(path, json={**body, wrong: True}))
    assert fault["key"] == wrong
    if meant:
        assert fault["message"] == f"is not known: did you mean {meant}?"
    assert len(front.events) == before


def test_the_text_of_a_key_is_cut_and_shows_no_token(client: httpx.Client) -> None:
    many = {f"cmsr_{'s' * 40}{i}": 1 for i in range(1000)} | {"x" * 100_000: 1, "\x1b[31m": 1}
    answer = client.put("/cluster/web/upgrade", json=many)
    assert answer.status_code == 400
    assert "ssss" not in answer.text
    assert len(answer.json()["errors"]) == TOLD_MAX
    long = client.put("/cluster/web/upgrade", json={"x" * 100_000: 1, "\x1b[31m": 1})
    assert len(long.content) < 2000
    assert "\\x1b" in long.json()["errors"][1]["key"]


@pytest.mark.parametrize("wrong", [{"dryrun": True}, {"status": 1, "max_parallel": 0, "x": 1}])
def test_keys_that_are_not_known_and_values_that_are_wrong_are_told_together(
    client: httpx.Client, wrong: dict[str, object]
) -> None:
    answer = client.put("/cluster/web/upgrade", json={**wrong, "drain": "yes"})
    told = {error["key"] for error in answer.json()["errors"]}
    assert told == {"drain", *wrong} - {"status", "max_parallel"}


# Queries


@pytest.mark.parametrize(
    ("path", "query", "wrong", "meant"),
    [
        ("/hosts", "limt=1", "limt", "limit"),
        ("/hosts", "Status=active", "Status", "status"),
        ("/hosts", "limit=1&state=active", "state", "status"),
        ("/hosts", "=1", "", None),
        ("/hosts", "x", "x", None),
        ("/operations", "sttus=failed", "sttus", "status"),
        ("/operations", f"at={TIME}", "at", None),
        ("/events", "subjects=host/10.0.0.1", "subjects", "subject"),
        ("/events/stream", "subjct=x", "subjct", "subject"),
        ("/events/stream", "limit=1", "limit", None),
        ("/host/10.0.0.1/history", "untl=1", "untl", None),
        ("/host/10.0.0.1/status", f"at={TIME}", "at", None),
        ("/networks", f"at={TIME}", "at", None),
        ("/containermanagers", "at=", "at", None),
        ("/cluster/web", f"At={TIME}", "At", "at"),
        ("/clusters", "cluster=web", "cluster", None),
        ("/host/10.0.0.1/creds", "x=1", "x", None),
        ("/openapi.json", "x=1", "x", None),
    ],
)
def test_a_query_key_that_is_not_known_is_400(
    front: WebService,
    client: httpx.Client,
    path: str,
    query: str,
    wrong: str,
    meant: str | None,
) -> None:
    before = len(front.events)
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400, answer.text
    [fault] = answer.json()["errors"]
    assert fault["key"] == wrong
    if meant:
        assert fault["message"] == f"is not known: did you mean {meant}?"
    assert len(front.events) == before


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("PUT", "/cluster/web/upgrade?dry_run=true"),
        ("PUT", "/cluster/web/restart?dry_run"),
        ("PUT", "/cluster/new?network=default"),
        ("PUT", "/host/10.0.0.2?cluster=web"),
        ("PUT", "/cluster/web/hosts/10.0.0.1?x=1"),
        ("DELETE", "/cluster/web?dry_run=true"),
        ("DELETE", f"/host/10.0.0.1?at={TIME}"),
        ("PUT", f"/operation/{ID}/retry?dry_run=true"),
    ],
)
def test_a_change_takes_no_query(
    front: WebService, client: httpx.Client, verb: str, path: str
) -> None:
    before = len(front.events)
    assert client.request(verb, path, content="{}").status_code == 400
    assert len(front.events) == before


def test_what_is_no_part_of_the_api_does_not_mind(front: WebService) -> None:
    for path in ("/healthz?x=1", "/metrics?x=1"):
        assert httpx.get(front.url + path).status_code == 200


def test_a_query_is_looked_at_after_credentials_paths_and_verbs(
    front: WebService, client: httpx.Client
) -> None:
    assert httpx.get(f"{front.url}/api/v0/hosts?x=1").status_code == 401
    assert client.get("/none?x=1").status_code == 404
    assert client.delete("/hosts?x=1").status_code == 405


def test_the_cluster_of_a_query_is_there(front: WebService, client: httpx.Client) -> None:
    client.put("/cluster/empty")
    assert client.get("/hosts?cluster=empty").json() == []
    tag = client.get("/hosts?cluster=empty").headers["etag"]
    after = client.get("/events?limit=1000").json()[-1]["time"]
    at = re.sub("Z$", "", after)
    client.delete("/cluster/empty")
    for query in ("cluster=empty", "cluster=never"):
        answer = client.get(f"/hosts?{query}", headers={"If-None-Match": tag})
        assert answer.status_code == 404
        assert client.get(f"/operations?{query}").status_code == 404
    assert client.get(f"/hosts?cluster=empty&at={at}").json() == []
    assert client.get(f"/hosts?cluster=never&at={at}").status_code == 404


# Empty texts, and slashes


def test_an_empty_text_is_as_if_it_were_not_there(client: httpx.Client, key: str) -> None:
    plain = client.put("/cluster/plain", json={"network": "", "container_manager": ""})
    assert (plain.status_code, plain.json()["network"]) == (201, "default")
    body = {"ssh_priv_key": key, "cluster": "", "remote_user": "", "source": ""}
    for _ in range(2):
        made = client.put("/host/10.0.0.5", json=body)
        assert (made.status_code, made.json()["source"]) == (201, "")
    assert client.get("/host/10.0.0.5/creds").json()["remote_user"] == "root"
    other = {"ssh_priv_key": key, "remote_user": "ops"}
    assert client.put("/host/10.0.0.6", json=other).status_code == 201
    assert client.put("/host/10.0.0.6", json=body).status_code == 201
    assert client.get("/host/10.0.0.6/creds").json()["remote_user"] == "ops"
    rotated = {"ssh_priv_key": key, "remote_user": "", "unchecked": True}
    answer = client.put("/host/10.0.0.6/creds", json=rotated)
    assert answer.json()["remote_user"] == "ops"


def test_an_empty_key_is_wrong_all_the_same(client: httpx.Client) -> None:
    answer = client.put("/host/10.0.0.7", json={"ssh_priv_key": ""})
    assert (answer.status_code, answer.json()["errors"][0]["key"]) == (400, "ssh_priv_key")


@pytest.mark.parametrize("slashes", [2, 3, 50])
def test_several_slashes_at_the_start_of_a_path_are_one(front: WebService, slashes: int) -> None:
    start = b"/" * slashes
    body = json.dumps({"dry_run": True}).encode()
    length = b"Content-Length: %d\r\n" % len(body)
    upgrade = put(length, path=start + b"api/v0/cluster/web/upgrade", body=body)
    strange = b"GET " + start + b"api/v0/hosts HTTP/1.1\r\nHost: x\r\n\r\n"
    inside = b"GET /api" + start + b"v0/hosts HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n"
    alone = b"GET " + start + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with front.connect() as connection:
        connection.sendall(upgrade + strange + inside + alone)
        assert statuses(raw_answers(connection)) == [200, 401, 404, 303]
