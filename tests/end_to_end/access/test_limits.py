"""Every limit on what a client sends or holds open is a setting, and holds.

The time for a TLS handshake is in `tests/end_to_end/access/test_tls.py`.
"""

import base64
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from runners.http_server.connection_pool import FIELD_BYTES, HEAD_BYTES_FREE, HEADS_BYTES_MAX
from tests.support.service import Service

SHORT_S = 0.5
BODY_S = 3.0
"""Enough for what is done while bodies are awaited."""
LONG_S = 15.0
"""Far above what is set here, and below most defaults."""
BYTES_MAX = 2048
CONNECTIONS_MAX = 6
FAILURES_MAX = 3


def limited(directory: Path) -> Service:
    """A service whose limits are all set."""
    limits = {
        "header-bytes-max": BYTES_MAX,
        "header-timeout-s": SHORT_S,
        "body-bytes-max": BYTES_MAX,
        "body-timeout-s": BODY_S,
        "keep-alive-s": SHORT_S,
        "send-stall-s": SHORT_S,
        "command-timeout-s": SHORT_S,
        "connections-max": CONNECTIONS_MAX,
        "failed-logins-per-minute": FAILURES_MAX,
    }
    flags = [text for name, value in limits.items() for text in (f"--{name}", str(value))]
    return Service(directory, None, *flags)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests, but those who guess passwords: nobody logs in for a while after them."""
    with limited(tmp_path_factory.mktemp("limits")) as running:
        yield running


def connect(service: Service) -> socket.socket:
    """A connection, to say bytes on."""
    url = httpx.URL(service.url)
    return socket.create_connection((url.host, url.port or 0), LONG_S)


def head(service: Service, request: str, *more: str) -> bytes:
    """The head of a request of an admin."""
    pair = base64.b64encode(f"admin:{service.password}".encode()).decode()
    lines = [f"{request} HTTP/1.1", "Host: x", f"Authorization: Basic {pair}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def answers(connection: socket.socket) -> list[int]:
    """The status of each answer until the service closes the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def said(service: Service, *pieces: bytes) -> list[int]:
    """What is answered to this."""
    with connect(service) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return answers(connection)


def test_a_head_and_a_body_may_be_so_long_and_no_longer(service: Service) -> None:
    fits = head(service, "GET /api/v0/hosts", "Connection: close", "X: " + "x" * (BYTES_MAX // 2))
    assert said(service, fits) == [200]
    assert said(service, head(service, "GET /api/v0/hosts", "X: " + "x" * BYTES_MAX)) == [431]
    body = b"{" + b" " * (BYTES_MAX - 2) + b"}"
    for more, status in ((0, 201), (1, 413)):
        length = f"Content-Length: {BYTES_MAX + more}"
        put = head(service, "PUT /api/v0/cluster/long", length, "Connection: close")
        assert said(service, put, body + b" " * more) == [status]


def test_a_head_a_body_and_the_next_request_must_come_in_time(service: Service) -> None:
    begin = time.monotonic()
    assert said(service, b"GET /api/v0/hosts HTTP/1.1\r\n") == [408]
    assert said(service, head(service, "PUT /api/v0/cluster/s", "Content-Length: 2"), b"{") == [408]
    assert said(service, b"") == []
    assert said(service, head(service, "GET /api/v0/hosts")) == [200]
    assert 3 * SHORT_S + BODY_S <= time.monotonic() - begin < LONG_S


@pytest.mark.parametrize(
    "more", [b"X: " + b"x" * 31_000, b"X:\r\n" * 700 + b"X: x"], ids=["one field", "many fields"]
)
def test_long_heads_that_nobody_finishes_have_so_much_memory_and_no_more(
    tmp_path: Path, more: bytes
) -> None:
    long = b"GET /api/v0/hosts HTTP/1.1\r\nHost: x\r\n" + more
    kept = len(long) + FIELD_BYTES * (long.count(b"\r\n") - 1)
    fit = HEADS_BYTES_MAX // (kept - HEAD_BYTES_FREE)
    with Service(tmp_path) as service, ExitStack() as open_ones:
        held = [open_ones.enter_context(connect(service)) for _ in range(fit + 8)]
        for connection in held:
            connection.sendall(long)
        assert all(_is_answered(c) for c in held[:8]), "those on their way for longest"
        usual = head(service, "GET /api/v0/hosts", "Connection: close")
        assert said(service, usual[:100], usual[100:]) == [200]
        ending = b"\r\n" + b"\r\n".join(usual.split(b"\r\n")[2:])  # without its line and Host
        assert said(service, long, ending) == [200], "a long one that is meant has room"


def _is_answered(connection: socket.socket) -> bool:
    connection.settimeout(1.0)
    with suppress(TimeoutError, ConnectionResetError):
        return b"503" in connection.recv(100)
    return False


def test_so_many_connections_may_be_open_and_the_idle_ones_go_first(service: Service) -> None:
    slow = head(service, "PUT /api/v0/cluster/s", "Content-Length: 2", "Expect: 100-continue")
    idle = [connect(service) for _ in range(CONNECTIONS_MAX * 2)]
    assert said(service, head(service, "GET /api/v0/hosts", "Connection: close")) == [200]
    for connection in idle:
        connection.close()
    busy = [connect(service) for _ in range(CONNECTIONS_MAX)]
    for connection in busy:
        connection.sendall(slow)
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
    assert said(service) == [503]
    for connection in busy:
        connection.sendall(b"{}")
        assert answers(connection) == [201]
        connection.close()


def test_a_client_that_takes_nothing_of_its_answers_is_cut_off(service: Service) -> None:
    asked = head(service, "GET /api/v0/none") * 50
    with closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(SHORT_S)
        url = httpx.URL(service.url)
        deaf.connect((url.host, url.port or 0))
        until = time.monotonic() + LONG_S
        cut = False
        while not cut:
            assert time.monotonic() < until
            try:
                deaf.sendall(asked)
            except TimeoutError:
                continue
            except OSError:
                cut = True


def test_so_many_log_ins_may_fail(tmp_path: Path) -> None:
    with limited(tmp_path) as service, service.client_as("admin") as known:
        assert known.get("/hosts").status_code == 200
        url = f"{service.url}/api/v0/hosts"
        wrong = [httpx.get(url, auth=("admin", f"wrong-{n}")) for n in range(FAILURES_MAX + 2)]
        assert [answer.status_code for answer in wrong] == [403] * FAILURES_MAX + [429] * 2
        assert 1 <= int(wrong[-1].headers["Retry-After"]) <= 60 // FAILURES_MAX
        assert known.get("/hosts").status_code == 200


def test_a_change_that_does_not_get_its_turn_is_503_and_changes_nothing(service: Service) -> None:
    other = sqlite3.connect(service.data / "commissaire.db", isolation_level=None)
    with closing(other), service.client_as("admin") as client:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        answer = client.put("/cluster/late")
        assert time.monotonic() - begin < LONG_S
        other.execute("ROLLBACK")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert client.get("/cluster/late").status_code == 404
