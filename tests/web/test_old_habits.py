"""How clients of old speak, byte by byte: each call on a connection of its own."""

import json
import re
from base64 import b64encode
from typing import Any, NamedTuple

import pytest

from domain.aggregates.host_events import Registered
from tests.web.service import WebService, raw_answers

HOST = "/api/v0/host/10.0.0.7"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    json: Any


def call(
    service: WebService,
    verb: str,
    path: str,
    body: bytes | None = None,
    *headers: str,
    user: str = "admin",
) -> Answer:
    """One call as `commctl` makes it: a connection, credentials, a request, an answer, the end."""
    credentials = b64encode(f"{user}:{user}".encode()).decode()
    lines = [
        f"{verb} {path} HTTP/1.1",
        "Host: commissaire.example",
        f"Authorization: basic {credentials}",
        "Connection: close",
        *headers,
    ]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    with service.connect() as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        head, _, rest = raw_answers(connection).partition(b"\r\n\r\n")
    status_line, *fields = head.decode().split("\r\n")
    sent = dict(field.lower().split(": ", 1) for field in fields)
    assert int(sent["content-length"]) == len(rest)
    assert sent["connection"] == "close"
    return Answer(int(status_line.split()[1]), sent, json.loads(rest))


def host_record(key: str, **more: object) -> bytes:
    """A whole host record, as old clients send back what they were given."""
    record = {
        "address": "10.9.9.9",
        "status": "active",
        "os": "atomic",
        "cpus": 2,
        "memory": 11989228,
        "space": 487652,
        "last_check": "2015-12-17T15:48:18.710454",
        "ssh_priv_key": key,
        **more,
    }
    return json.dumps(record).encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"type": "kubernetes"}',
        b'{"type": "host_only", "network": "default"}',
        b'{"type": ["of", "any"], "name": "other", "status": "failed", "hosts": {"total": 9}}',
    ],
)
def test_the_type_of_a_cluster_is_ignored(service: WebService, body: bytes) -> None:
    created = call(service, "PUT", "/api/v0/cluster/web", body)
    assert created.status == 201
    assert created.json == {
        "name": "web",
        "status": "ok",
        "network": "default",
        "container_manager": "",
        "hosts": {"total": 0, "available": 0, "unavailable": 0},
    }
    assert call(service, "GET", "/api/v0/cluster/web").json == created.json
    assert call(service, "GET", "/api/v0/clusters").json == ["web"]


def test_the_same_cluster_with_another_type_is_the_same_request(service: WebService) -> None:
    first = call(service, "PUT", "/api/v0/cluster/web", b'{"type": "kubernetes"}')
    again = call(service, "PUT", "/api/v0/cluster/web", b'{"type": "host_only"}')
    assert (again.status, again.json) == (201, first.json)
    assert service.topics() == ["cluster.created"]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/x-www-form-urlencoded",
        "text/plain; charset=latin-1",
        "multipart/form-data; boundary=x",
        "nonsense",
        "",
    ],
)
def test_a_body_is_json_whatever_its_type_is_called(
    service: WebService, content_type: str | None
) -> None:
    headers = () if content_type is None else (f"Content-Type: {content_type}",)
    body = b'{"network": "default"}'
    assert call(service, "PUT", "/api/v0/cluster/web", body, *headers).status == 201
    swap = call(service, "PUT", "/api/v0/cluster/web/hosts", b'{"old": [], "new": []}', *headers)
    assert (swap.status, swap.json) == (200, [])
    refused = call(service, "PUT", "/api/v0/cluster/db", b"network=default", *headers)
    assert (refused.status, refused.headers["content-type"]) == (400, "application/problem+json")


def test_no_body_and_an_empty_one_are_an_empty_object(service: WebService) -> None:
    assert call(service, "PUT", "/api/v0/cluster/web").status == 201
    assert call(service, "PUT", "/api/v0/cluster/db", b"").status == 201
    missing = call(service, "PUT", HOST)
    assert missing.status == 400
    assert [error["key"] for error in missing.json["errors"]] == ["ssh_priv_key"]


def test_of_a_whole_host_record_only_what_can_be_asked_for_counts(
    service: WebService, key: str
) -> None:
    answer = call(service, "PUT", HOST, host_record(key))
    assert answer.status == 201
    assert list(answer.json.items()) == [
        ("address", "10.0.0.7"),
        ("status", "investigating"),
        ("os", ""),
        ("cpus", 0),
        ("memory", 0),
        ("space", 0),
        ("last_check", ""),
        ("source", ""),
    ]
    assert call(service, "GET", "/api/v0/host/10.9.9.9").status == 404
    (recorded,) = service.events
    assert isinstance(recorded.event, Registered)


@pytest.mark.parametrize(
    "more",
    [
        {"status": 7, "cpus": "many", "last_check": None},
        {"cluster": None, "remote_user": None, "source": "", "ssh_port": None},
        {"remote_user": "root", "unheard_of": {"deep": [1, {}]}},
    ],
)
def test_a_record_that_is_sent_again_after_it_changed_is_the_same_request(
    service: WebService, key: str, more: dict[str, object]
) -> None:
    first = call(service, "PUT", HOST, host_record(key))
    service.settle("10.0.0.7")
    again = call(service, "PUT", HOST, host_record(key, **more))
    assert again.status == 201
    assert again.json == call(service, "GET", HOST).json
    assert again.json["status"] == "disassociated"
    assert again.json["cpus"] == 4 != first.json["cpus"]


def test_a_machine_sends_a_whole_record_of_itself(service: WebService, key: str) -> None:
    record = host_record(key, address="127.0.0.1")
    answer = call(service, "PUT", "/api/v0/host/", record, user="operator")
    assert (answer.status, answer.json["address"]) == (201, "127.0.0.1")


def test_every_call_has_a_connection_and_credentials_of_its_own(
    service: WebService, key: str
) -> None:
    """A conversation of `commctl`, with lost answers asked for again."""
    for verb, path, body, status in [
        ("GET", "/api/v0/clusters", None, 200),
        ("PUT", "/api/v0/cluster/web/", b'{"type": "kubernetes"}', 201),
        ("PUT", "/api/v0/cluster/web/", b'{"type": "kubernetes"}', 201),
        ("PUT", HOST, host_record(key, cluster="web"), 201),
        ("PUT", HOST, host_record(key, cluster="web"), 201),
        ("GET", f"{HOST}/", None, 200),
        ("GET", f"{HOST}/status", None, 200),
        ("GET", "/api/v0/cluster/web/hosts/10.0.0.7", None, 200),
        ("PUT", "/api/v0/cluster/web/hosts/10.0.0.7", None, 200),
        ("DELETE", "/api/v0/cluster/web/hosts/10.0.0.7", None, 200),
        ("DELETE", "/api/v0/cluster/web/hosts/10.0.0.7", None, 200),
        ("DELETE", HOST, None, 200),
        ("DELETE", HOST, None, 404),
        ("DELETE", "/api/v0/cluster/web", None, 200),
    ]:
        assert call(service, verb, path, body).status == status, (verb, path)
    users = {line["user"] for line in service.log if line["event"] == "request"}
    assert users == {"admin"}


def test_a_connection_without_credentials_inherits_none(service: WebService) -> None:
    assert call(service, "GET", "/api/v0/hosts").status == 200
    with service.connect() as connection:
        connection.sendall(b"GET /api/v0/hosts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = raw_answers(connection)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert re.search(rb"\r\nwww-authenticate: Basic ", answer)
