"""What is answered from memory is what would be answered without it, whatever happened between."""

import base64
import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import bcrypt
import httpx
import pytest

from domain.log.recorder import now
from projections.beside_the_log import heartbeats
from tests.runners.http_server.raw_requests import get, say, statuses, strict
from tests.support.warm_start import CHEAP_BCRYPT
from tests.web.service import WebService, raw_answers
from web.authentication.authentication import (
    Account,
)
from web.http.replies import SentAnswer
from web.http.request_counts import RequestKind

__all__ = ["strict"]

STEPS = 120
UNKNOWN = b"X-Unknown: 1\r\n"
"""A header with which nothing is known."""
CHANGING = re.compile(rb"(?m)^(date|x-request-id): [^\r]*\r\n")
PATHS = (b"/hosts", b"/clusters", b"/cluster", b"/cluster/a", b"/cluster/a/hosts")


class Asking:
    """One connection, on which one request follows the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self, request: bytes) -> bytes:
        """The whole answer, without what differs each time."""
        self._connection.sendall(request)
        received = b""
        while not (head := received.partition(b"\r\n\r\n"))[1]:
            received += self._more()
        length = re.search(rb"(?m)^content-length: (\d+)\r$", head[0])
        missing = (int(length[1]) if length else 0) - len(head[2])
        while missing > 0:
            more = self._more()
            received, missing = received + more, missing - len(more)
        return CHANGING.sub(b"", received)

    def known(self, request: bytes) -> bytes:
        """What is answered from memory: the first answer is not kept, and the second is."""
        first, second, third = (self.ask(request) for _ in range(3))
        assert first == second == third
        return third

    def _more(self) -> bytes:
        more = self._connection.recv(65536)
        assert more, "the connection was closed"
        return more


@contextmanager
def asking(service: WebService) -> Iterator[Asking]:
    """A connection to ask on."""
    with service.connect() as connection:
        yield Asking(connection)


@pytest.fixture
def given(front: WebService, monkeypatch: pytest.MonkeyPatch) -> list[SentAnswer]:
    """What is answered from memory, from here on."""
    return watched(front, monkeypatch)


def watched(service: WebService, monkeypatch: pytest.MonkeyPatch) -> list[SentAnswer]:
    """What a service answers from memory, from here on."""
    assert service.known is not None
    answers: list[SentAnswer] = []
    answer = service.known.answer

    def watch(request: bytes, client: tuple[str, int] | None) -> SentAnswer | None:
        found = answer(request, client)
        answers.extend([found] if found else [])
        return found

    monkeypatch.setattr(service.known, "answer", watch)
    return answers


def as_user(user: str, path: bytes = b"/api/v0/clusters", password: str = "") -> bytes:
    """A request of this user in bytes."""
    pair = base64.b64encode(f"{user}:{password or user}".encode())
    return b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\n\r\n" % (path, pair)


def change(front: WebService, client: httpx.Client, chance: random.Random, key: str) -> None:
    """Any change of what is asked for."""
    name, address = chance.choice("ab"), f"10.9.0.{chance.randrange(3)}"
    match chance.randrange(7):
        case 6:  # a check, which is no event
            beats = {address: now()}
            front.perform(
                lambda unit: unit.write_beside(partial(heartbeats.beat, seen=beats, now=now))
            )
        case 0:
            client.put(f"/cluster/{name}")
        case 1:
            client.delete(f"/cluster/{name}")
        case 2:
            client.put(f"/host/{address}", json={"ssh_priv_key": key})
        case 3:
            client.delete(f"/host/{address}")
        case 4:
            client.put(f"/cluster/{name}/hosts/{address}")
        case _:
            client.delete(f"/cluster/{name}/hosts/{address}")


@pytest.mark.parametrize("seed", range(6))
def test_an_answer_from_memory_is_the_one_that_is_made_anew(
    front: WebService, client: httpx.Client, key: str, given: list[SentAnswer], seed: int
) -> None:
    chance = random.Random(seed)
    tags: list[bytes] = [b"W/none"]
    with asking(front) as one, asking(front) as other:
        for _ in range(STEPS):
            if chance.random() < 0.3:
                change(front, client, chance, key)
            host = b"/host/10.9.0.%d" % chance.randrange(3)
            path = b"/api/v0" + chance.choice((*PATHS, host, b"/cluster/a/hosts" + host[5:]))
            condition = b"If-None-Match: %b\r\n" % chance.choice(tags)
            headers = () if chance.random() < 0.7 else (condition,)
            first = chance.choice((one, other)).ask(get(path, *headers))
            again = chance.choice((one, other)).ask(get(path, *headers))
            assert first == again == one.ask(get(path, *headers, UNKNOWN))
            tags += re.findall(rb"(?m)^etag: ([^\r]*)\r", first)
    assert len(given) > STEPS / 4


def test_an_answer_from_memory_is_named_counted_and_logged(
    front: WebService, client: httpx.Client, given: list[SentAnswer]
) -> None:
    client.put("/cluster/logged")
    request = get(b"/api/v0/cluster/logged")
    with asking(front) as connection:
        connection.known(request)  # which is counted before it is answered
        given.clear()
        kind = RequestKind("/api/v0/cluster/{name}", "GET", 200)
        before = front.counts.requests[kind].count
        connection.ask(request)
        connection.ask(request)
    assert len(given) == 2
    assert front.counts.requests[kind].count == before + 2
    names = re.findall(rb"x-request-id: (\S+)", given[0].head + given[1].head)
    known = {name.decode() for name in names}
    lines = [line for line in front.log if line.get("request_id") in known]
    assert [{**line, "ms": 0} for line in lines] == [
        {
            "event": "request",
            "level": "info",
            "method": "GET",
            "path": "/api/v0/cluster/logged",
            "status": 200,
            "ms": 0,
            "user": "admin",
            "request_id": name.decode(),
            "client": "127.0.0.1",
        }
        for name in names
    ]
    assert names[0] != names[1]


def test_what_was_committed_by_anybody_is_seen(
    front: WebService, client: httpx.Client, given: list[SentAnswer]
) -> None:
    request = get(b"/api/v0/clusters")
    with asking(front) as connection:
        for number in range(20):
            client.put(f"/cluster/seen{number}").raise_for_status()
            assert b"seen%d" % number in connection.ask(request)
            assert b"seen%d" % number in connection.ask(request)
    assert len(given) >= 19, "the first one of all came for the first time"


@pytest.mark.parametrize("becomes", ["gone", "other password", "other role"])
def test_whoever_is_not_who_they_were_is_asked_anew(
    front: WebService, given: list[SentAnswer], becomes: str
) -> None:
    user = becomes.replace(" ", "-")
    hashed = bcrypt.hashpw(user.encode(), bcrypt.gensalt(CHEAP_BCRYPT))
    front.users.users[user] = Account(hashed, "viewer")
    with asking(front) as connection:
        connection.known(as_user(user))
        assert len(given) == 1
        match becomes:
            case "gone":
                del front.users.users[user]
            case "other password":
                other = bcrypt.hashpw(b"other", bcrypt.gensalt(CHEAP_BCRYPT))
                front.users.users[user] = Account(other, "viewer")
            case _:
                front.users.users[user] = Account(hashed, "operator")
        now = connection.ask(as_user(user))
    assert len(given) == 1
    assert statuses(now) == [200 if becomes == "other role" else 403]


def test_a_token_that_was_revoked_is_refused(
    front: WebService, client: httpx.Client, given: list[SentAnswer]
) -> None:
    made = client.put("/token/short", json={"role": "viewer", "expires": "1h"}).raise_for_status()
    head = b"GET /api/v0/clusters HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    request = head + made.json()["token"].encode() + b"\r\n\r\n"
    with asking(front) as connection:
        connection.known(request)
        assert len(given) == 1
        client.delete("/token/short").raise_for_status()
        assert statuses(connection.ask(request)) == [403]
    assert len(given) == 1


@pytest.mark.parametrize(
    "request_",
    [
        get(b"/api/v0/clusters", b"X-Request-ID: mine\r\n"),
        get(b"/api/v0/clusters?at=2017-01-01T00:00:00", b""),
        get(b"/api/v0/clusters", b"Content-Length: 0\r\n"),
        get(b"/api/v0/clusters", b"Accept: text/html\r\n").replace(b"GET", b"HEAD"),
        get(b"/api/v0/fleet"),
        get(b"/api/v0/hosts/", b"Cookie: commissaire=x\r\n"),
        get(b"/api/v0/cluster/none"),
    ],
)
def test_what_may_be_answered_otherwise_is_not_kept(
    front: WebService, given: list[SentAnswer], request_: bytes
) -> None:
    with front.connect() as connection:
        for _ in range(3):
            connection.sendall(request_)
            assert connection.recv(65536)
    assert given == []


def test_requests_that_come_at_once_or_with_a_body_are_parsed(
    front: WebService, given: list[SentAnswer]
) -> None:
    last = get(b"/api/v0/clusters", b"Connection: close\r\n")
    one = get(b"/api/v0/clusters")
    with asking(front) as connection:
        connection.known(one)
    given.clear()
    assert statuses(say(front, one * 3 + last)) == [200] * 4
    assert statuses(say(front, one[:-2], b"\r\n" + one[:40], one[40:] + last)) == [200] * 3
    hidden = b"Content-Length: %d\r\n" % len(one)
    assert statuses(say(front, get(b"/api/v0/clusters", hidden), one, last)) == [200] * 2
    assert given == [], "nothing of it was a request that came alone"


def test_a_connection_is_closed_when_nothing_is_asked_any_more(
    strict: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = watched(strict, monkeypatch)
    with strict.connect() as connection:
        for _ in range(2):
            connection.sendall(get())
            connection.recv(65536)
        connection.sendall(get())
        assert raw_answers(connection).endswith(b"]")
    assert len(given) == 1


def test_the_timer_of_the_last_parsed_request_closes_nothing(
    front: WebService, given: list[SentAnswer]
) -> None:
    async def fire() -> None:
        for connection in list(vars(front.server)["_pool"].idle):
            connection.timeout_keep_alive_handler()

    with asking(front) as connection:
        connection.known(get())
        assert given
        given.clear()
        front.run(fire())
        connection.ask(get())
    assert len(given) == 1


def test_a_client_that_waits_for_the_end_of_the_connection_gets_it(
    front: WebService, given: list[SentAnswer]
) -> None:
    old = get().replace(b"HTTP/1.1", b"HTTP/1.0")
    for _ in range(3):
        assert statuses(say(front, old)) == [200]
    assert given == []
