"""Requests as bytes, and a server with short limits."""

import re
from collections.abc import Iterator

import pytest

from runners.http_server.server import Limits
from tests.web.service import WebService, raw_answers, serving
from web.http.requests import Limits as RequestLimits

AUTH = b"Authorization: Basic YWRtaW46YWRtaW4=\r\n"
SHORT_S = 0.3
CONNECTIONS_MAX = 8


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """A service of little patience."""
    limits = Limits(
        header_bytes_max=4096,
        header_timeout_s=SHORT_S,
        body_bytes_max=10_000,
        keep_alive_s=SHORT_S,
        connections_max=CONNECTIONS_MAX,
        send_stall_s=SHORT_S,
    )
    requests = RequestLimits(body_bytes_max=10_000, body_timeout_s=SHORT_S)
    with serving(tmp_path_factory.mktemp("strict"), "sqlite", requests, limits) as running:
        yield running


def say(service: WebService, *pieces: bytes) -> bytes:
    """Say this on a connection; gives everything that is answered until the server closes it."""
    with service.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
        return raw_answers(connection)


def statuses(answers: bytes) -> list[int]:
    """The status of each answer."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


def get(path: bytes = b"/api/v0/clusters", *headers: bytes) -> bytes:
    """A request in bytes."""
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + AUTH + b"".join(headers) + b"\r\n"


def put(*headers: bytes, path: bytes = b"/api/v0/cluster/raw", body: bytes = b"") -> bytes:
    """The head of a PUT, and its body."""
    head = b"PUT " + path + b" HTTP/1.1\r\nHost: x\r\n" + AUTH + b"".join(headers) + b"\r\n"
    return head + body
