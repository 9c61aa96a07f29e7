"""Bodies: everything that a client should not send is 400, says why, and changes nothing."""

import json
from collections.abc import Iterator

import httpx
import orjson
import pytest

from tests.web.service import WebService

CLUSTER = "/cluster/bodies"


@pytest.fixture(autouse=True)
def _nothing_changes(front: WebService) -> Iterator[None]:
    before = len(front.events)
    yield
    new = [recorded.event.TOPIC for recorded in front.events[before:]]
    assert [topic for topic in new if topic != "cluster.removed"] in ([], ["cluster.created"])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        orjson.JSONDecodeError("Not enough memory to allocate buffer for parsing", "", 0),
    ],
    ids=["python", "orjson"],
)
def test_a_body_that_there_is_no_memory_for_is_503(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def loads(raw: bytes) -> None:
        raise error

    monkeypatch.setattr("web.schemas.bodies.orjson.loads", loads)
    answer = client.put(CLUSTER, content=b'{"network": "default"}')
    monkeypatch.undo()
    assert answer.status_code == 503
    assert "memory" in answer.json()["detail"]
    assert "retry-after" in answer.headers


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1} x',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"x": {"a": 1, "a": 2}}',
        b'{"a": "\xff"}',
        b'{"\xc3\x28": 1}',
        b'{"a": "\\ud800"}',
        "{}".encode("utf-16"),
        b"\x00",
        b" ",
        b'"text"',
        b"[]",
        b"[{}]",
        b"1",
        b"null",
        b"true",
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b"\x1f\x8b\x08\x00",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_object_is_400(client: httpx.Client, body: bytes) -> None:
    answer = client.put(CLUSTER, content=body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("The body")
    assert client.get(CLUSTER).status_code == 404


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", None),
        (b"{}", None),
        (b"{}", "text/plain"),
        (b"{}", "application/x-www-form-urlencoded"),
        (b"{}", "application/json; charset=latin-1"),
        (b"{}", "nonsense"),
        (b"\xef\xbb\xbf{}", "application/json"),
        (b' \r\n{"type": "host", "unknown": [1, {"a": null}], "name": "other"}', None),
        (b'{"network": null, "container_manager": null}', None),
        (b'{"unknown": 123456789012345678901234567890}', None),
    ],
)
def test_an_object_is_taken_whatever_its_type_is_called(
    client: httpx.Client, body: bytes, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = client.put(CLUSTER, content=body, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["name"] == "bodies"
    assert client.get("/cluster/other").status_code == 404
    client.delete(CLUSTER)


@pytest.mark.parametrize("key", ["network", "container_manager"])
@pytest.mark.parametrize("wrong", [1, True, [], {}, "a b", "a/b", "x" * 65, "ä", "\x00", "{x}"])
def test_a_known_key_of_a_wrong_value_is_400_and_named(
    client: httpx.Client, key: str, wrong: object
) -> None:
    answer = client.put(CLUSTER, json={key: wrong})
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["key"] == key
    assert error["message"]
    assert key in answer.json()["detail"]


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("ssh_priv_key", None),
        ("ssh_priv_key", ""),
        ("ssh_priv_key", " \n"),
        ("ssh_priv_key", 1),
        ("ssh_priv_key", ["a"]),
        ("ssh_priv_key", "not base64!"),
        ("ssh_priv_key", "YQ"),
        ("ssh_priv_key", "YQ==YQ=="),
        ("ssh_priv_key", "ä"),
        ("remote_user", "a b"),
        ("remote_user", "-oProxyCommand=x"),
        ("remote_user", "root; reboot"),
        ("remote_user", 0),
        ("remote_user", "x" * 40),
        ("cluster", "a/b"),
        ("cluster", 7),
        ("cluster", ["web"]),
        ("ssh_port", 0),
        ("ssh_port", -1),
        ("ssh_port", 65536),
        ("ssh_port", 10**30),
        ("ssh_port", 22.0),
        ("ssh_port", 22.5),
        ("ssh_port", True),
        ("ssh_port", "22"),
        ("ssh_port", [22]),
        ("source", "cloudforms"),
        ("source", 1),
    ],
)
def test_a_host_with_a_wrong_key_is_400_and_the_key_is_named(
    client: httpx.Client, key: str, wrong: object
) -> None:
    body = {"ssh_priv_key": "aGVsbG8=", key: wrong}
    answer = client.put("/host/10.99.0.1", json=body)
    assert answer.status_code == 400
    assert [error["key"] for error in answer.json()["errors"]] == [key]


def test_all_keys_that_are_wrong_are_named_at_once(client: httpx.Client) -> None:
    body = {"ssh_port": True, "remote_user": "-", "cluster": 1}
    errors = client.put("/host/10.99.0.1", json=body).json()["errors"]
    wrong = {"ssh_port", "remote_user", "cluster", "ssh_priv_key"}
    assert {error["key"] for error in errors} == wrong


def test_what_was_sent_is_never_shown_back(client: httpx.Client) -> None:
    for value in ("hidden-word", ["hidden-word"], {"a": "hidden-word"}):
        answer = client.put("/host/10.99.0.1", json={"ssh_priv_key": value})
        assert answer.status_code == 400
        assert "hidden" not in answer.text


def test_a_body_over_the_limit_is_413_and_at_the_limit_is_taken(client: httpx.Client) -> None:
    limit = 1024 * 1024
    full = json.dumps({"unknown": "x" * (limit - 15)}).encode()
    assert len(full) <= limit
    assert client.put(CLUSTER, content=full).status_code == 201
    client.delete(CLUSTER)
    for size in (limit + 1, 2 * limit):
        known = client.put(CLUSTER, content=b" " * size)
        in_chunks = client.put(CLUSTER, content=iter([b" " * 5000] * (size // 5000 + 1)))
        assert (known.status_code, in_chunks.status_code) == (413, 413)
        assert known.json()["title"]


def test_the_refusal_of_a_remote_user_names_all_forms(client: httpx.Client) -> None:
    answer = client.put("/host/10.99.0.1", json={"remote_user": "a b"})
    assert answer.status_code == 400
    said = {error["key"]: error["message"] for error in answer.json()["errors"]}
    assert "user@domain, or DOMAIN\\user" in said["remote_user"]
