"""No change is decided on a body that was announced and did not come whole."""

import json
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from tests.runners.http_server.raw_requests import AUTH, put, statuses
from tests.web.service import TIMEOUT_S, WebService, raw_answers

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAA\r\n"
DRY_RUN = b'{"dry_run": true}'
UPGRADE = b"/api/v0/cluster/web/upgrade"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
IN_CHUNKS = b'9\r\n{"dry_run\r\n8\r\n": true}\r\n0\r\n\r\n'
NAMES = count()


@pytest.fixture(scope="module")
def web(front: WebService, client: httpx.Client, key: str) -> WebService:
    """A service whose cluster `web` has a host that could be upgraded."""
    assert client.put("/cluster/web").status_code == 201
    body = {"ssh_priv_key": key, "cluster": "web"}
    assert client.put("/host/10.0.0.1", json=body).status_code == 201
    front.settle("10.0.0.1")
    return front


@pytest.fixture(autouse=True)
def _nothing_began(web: WebService) -> Iterator[None]:
    yield
    assert not [topic for topic in web.topics() if topic.startswith("operation.")]


def length(body: bytes) -> bytes:
    """The header that announces this body."""
    return b"Content-Length: %d\r\n" % len(body)


def curl(web: WebService, *arguments: str, user: str = "admin") -> tuple[int, str]:
    """What the real curl gets: status and body."""
    ended = subprocess.run(
        ["curl", "-sS", "-w", r"\n%{http_code}", "--netrc-file", "/dev/stdin", *arguments],
        input=f"machine 127.0.0.1 login {user} password {user}\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    body, _, status = ended.stdout.rpartition("\n")
    return int(status), body


@pytest.mark.parametrize(
    "how",
    [
        ["--http2"],
        ["--http2", "-H", "Transfer-Encoding: chunked"],
        ["--http2", "-H", "Expect: 100-continue"],
        ["--http1.0"],
        ["--http1.0", "-H", "Connection: Upgrade", "-H", "Upgrade: h2c"],
        ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"],
        ["-H", "Connection: keep-alive, upgrade", "-H", "Upgrade: TLS/1.3, h2c"],
        ["-H", "Connection: close, Upgrade", "-H", "Upgrade: h2c"],
        ["-H", "Proxy-Connection: Upgrade", "-H", "Upgrade: h2c"],
    ],
)
def test_curl_offers_another_protocol_and_its_body_is_read(web: WebService, how: list[str]) -> None:
    url = web.url + UPGRADE.decode()
    status, body = curl(web, *how, "-X", "PUT", url, "--data", DRY_RUN.decode())
    assert (status, [*json.loads(body)["hosts"]]) == (200, ["10.0.0.1"])

    name = f"offered-{next(NAMES)}"
    status, body = curl(
        web, *how, "-X", "PUT", f"{web.url}/api/v0/cluster/{name}", "--data", '{"network": "none"}'
    )
    assert status == 409, body
    status, body = curl(
        web, *how, "-X", "PUT", f"{web.url}/api/v0/cluster/{name}", "--data", "{broken"
    )
    assert status == 400, body


@pytest.mark.parametrize("size", [1, 7, 60, 4000])
@pytest.mark.parametrize(
    "asked",
    [
        put(OFFER, length(DRY_RUN), path=UPGRADE, body=DRY_RUN),
        put(OFFER, CHUNKED, path=UPGRADE, body=IN_CHUNKS),
        put(CHUNKED, path=UPGRADE, body=IN_CHUNKS[:-2] + OFFER + b"\r\n"),
        put(
            b"Connection: upgrade\r\nupgrade: h2c\r\n", length(DRY_RUN), path=UPGRADE, body=DRY_RUN
        ),
    ],
)
def test_requests_before_and_after_an_offer_are_answered_in_any_pieces(
    web: WebService, asked: bytes, size: int
) -> None:
    plain = put(length(DRY_RUN), path=UPGRADE, body=DRY_RUN)
    last = put(b"Connection: close\r\n", length(b"[]"), path=UPGRADE, body=b"[]")
    said = plain + asked + asked + plain + last
    with web.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(said), size):
            connection.sendall(said[start : start + size])
        assert statuses(raw_answers(connection)) == [200, 200, 200, 200, 400]


@pytest.mark.parametrize(
    "framing",
    [
        CHUNKED + length(DRY_RUN),
        length(DRY_RUN) + CHUNKED,
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding:\r\n",
        CHUNKED * 2,
        length(DRY_RUN) * 2,
        length(DRY_RUN) + length(DRY_RUN * 2),
        b"Content-Length: 17, 17\r\n",
        b"Content-Length: +17\r\n",
        b"Content-Length: 0x11\r\n",
        b"Content-Length:\r\n",
        b"Content-Length : 17\r\n",
        b"Content-Length: 17\r\n ,17\r\n",
    ],
)
@pytest.mark.parametrize("offer", [b"", OFFER])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("body", [DRY_RUN, IN_CHUNKS])
def test_a_body_whose_end_is_in_doubt_is_refused(
    web: WebService, framing: bytes, offer: bytes, version: bytes, body: bytes
) -> None:
    asked = put(offer, framing, b"Connection: close\r\n", path=UPGRADE, body=body)
    with web.connect() as connection:
        connection.sendall(asked.replace(b"HTTP/1.1", b"HTTP/" + version))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(raw_answers(connection)) in ([400], [])


@pytest.mark.parametrize("body", [DRY_RUN, b"dry_run=true", b"\x1f\x8b", b"\x00", b"[]"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize(
    "header",
    [
        b"",
        OFFER,
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 00\r\nConnection: close\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_body_that_nobody_announced_is_refused_with_its_request(
    web: WebService, body: bytes, version: bytes, header: bytes, before: bytes
) -> None:
    asked = put(header, path=UPGRADE, body=body).replace(b"HTTP/1.1", b"HTTP/" + version)
    with web.connect() as connection:
        connection.sendall(before + asked)
        answers = raw_answers(connection)
    assert statuses(answers) == [200, 400][not before :]
    assert b"Nothing was done" in answers


@pytest.mark.parametrize("offer", [b"", OFFER, b"Connection: close\r\n"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize(
    ("framing", "announced"), [(length(b"{}"), b"{}"), (CHUNKED, b"2\r\n{}\r\n0\r\n\r\n")]
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_body_that_goes_on_after_its_announced_end_is_refused_with_its_request(
    web: WebService, offer: bytes, version: bytes, framing: bytes, announced: bytes, pieces: int
) -> None:
    asked = put(offer, framing, path=UPGRADE).replace(b"HTTP/1.1", b"HTTP/" + version)
    with web.connect() as connection:
        if pieces == 2:
            connection.sendall(asked)
            time.sleep(0.1)  # the request has begun, and waits for its body
            asked = b""
        connection.sendall(asked + announced + DRY_RUN)
        answers = raw_answers(connection)
    assert statuses(answers) == [400]
    assert b"Nothing was done" in answers


def test_an_empty_line_after_a_request_is_no_body(web: WebService, client: httpx.Client) -> None:
    for version in (b"1.1", b"1.0"):
        path = b"/api/v0/cluster/line-%d" % next(NAMES)
        asked = put(b"Connection: close\r\n", path=path, body=b"\r\n\r\n")
        with web.connect() as connection:
            connection.sendall(asked.replace(b"HTTP/1.1", b"HTTP/" + version))
            assert statuses(raw_answers(connection)) == [201]


def test_a_request_with_garbage_in_its_head_does_not_undo_the_one_before(web: WebService) -> None:
    path = b"/api/v0/cluster/before-%d" % next(NAMES)
    with web.connect() as connection:
        connection.sendall(put(path=path) + b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
        assert statuses(raw_answers(connection)) == [201, 400]


@pytest.mark.parametrize("method", [b"CONNECT", b"POST", b"PATCH", b"M-SEARCH", b"put"])
def test_no_other_method_begins_it(web: WebService, method: bytes) -> None:
    asked = put(OFFER, length(DRY_RUN), path=UPGRADE, body=DRY_RUN)
    with web.connect() as connection:
        connection.sendall(asked.replace(b"PUT", method, 1))
        connection.shutdown(socket.SHUT_WR)
        assert statuses(raw_answers(connection))[:1] in ([400], [405])


@pytest.mark.parametrize("offer", [b"", OFFER])
@pytest.mark.parametrize(
    ("framing", "part"),
    [
        (length(DRY_RUN), b""),
        (length(DRY_RUN), DRY_RUN[:-1]),
        (length(DRY_RUN + b" "), DRY_RUN),
        (CHUNKED, b""),
        (CHUNKED, b"2\r\n{}\r\n"),
        (CHUNKED, IN_CHUNKS[:-4]),
        (CHUNKED, IN_CHUNKS[:-2]),
        (CHUNKED, b"2\r\n{}\r\nx\r\n"),
        (length(DRY_RUN) + b"Expect: 100-continue\r\n", b""),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"PUT", UPGRADE),
        (b"PUT", b"/api/v0/cluster/half"),
        (b"DELETE", b"/api/v0/cluster/web"),
        (b"DELETE", b"/api/v0/host/10.0.0.1"),
        (b"PUT", b"/api/v0/cluster/other/hosts/10.0.0.1"),
    ],
)
def test_a_client_that_leaves_in_the_middle_of_its_body_has_changed_nothing(
    web: WebService, offer: bytes, framing: bytes, part: bytes, method: bytes, path: bytes
) -> None:
    before = len(web.events)
    asked = put(offer, framing, path=path, body=part).replace(b"PUT", method, 1)
    with web.connect() as connection:
        connection.sendall(asked)
        connection.shutdown(socket.SHUT_WR)
        raw_answers(connection)
    assert len(web.events) == before


@pytest.mark.parametrize("framing", [length(b"{}"), CHUNKED])
def test_a_delete_is_decided_when_its_body_is_there(
    web: WebService, client: httpx.Client, framing: bytes
) -> None:
    name = f"gone-{next(NAMES)}"
    assert client.put(f"/cluster/{name}").status_code == 201
    path = f"/api/v0/cluster/{name}"
    head = b"DELETE %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % path.encode() + AUTH
    with web.connect() as connection:
        connection.sendall(head + framing + b"\r\n")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert client.get(f"/cluster/{name}").status_code == 200
        connection.settimeout(TIMEOUT_S)
        connection.sendall(b"{}" if framing != CHUNKED else b"0\r\n\r\n")
        assert statuses(raw_answers(connection)) == [200]
    assert client.get(f"/cluster/{name}").status_code == 404


def test_a_get_with_a_body_is_answered_and_the_body_is_no_request(web: WebService) -> None:
    hidden = put(length(b"{}"), path=UPGRADE, body=b"{}")
    asked = b"GET /api/v0/clusters HTTP/1.1\r\nHost: x\r\n" + AUTH + OFFER + length(hidden)
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with web.connect() as connection:
        connection.sendall(asked + b"\r\n" + hidden + last)
        assert statuses(raw_answers(connection)) == [200, 200]


def test_wrong_credentials_with_an_offer_are_403(web: WebService) -> None:
    wrong = b"Authorization: Basic " + b64encode(b"admin:wrong") + b"\r\n"
    asked = put(OFFER, length(DRY_RUN), path=UPGRADE, body=DRY_RUN).replace(AUTH, wrong)
    with web.connect() as connection:
        connection.sendall(asked + asked.replace(OFFER, b"Connection: close\r\n"))
        assert statuses(raw_answers(connection)) == [403, 403]


def test_a_long_head_with_an_offer_is_refused_as_any_other(web: WebService) -> None:
    asked = put(OFFER, b"A: %b\r\n" % (b"x" * 100_000), length(DRY_RUN), path=UPGRADE, body=DRY_RUN)
    with web.connect() as connection:
        connection.sendall(asked)
        assert statuses(raw_answers(connection)) == [431]


def test_many_offers_in_one_piece_cost_no_more_than_as_many_requests(web: WebService) -> None:
    asked = put(OFFER, length(DRY_RUN), path=UPGRADE, body=DRY_RUN) * 90
    last = put(b"Connection: close\r\n", length(b"[]"), path=UPGRADE, body=b"[]")
    started = time.monotonic()
    with web.connect() as connection:
        connection.sendall(asked + last)
        assert statuses(raw_answers(connection)) == [200] * 90 + [400]
    assert time.monotonic() - started < TIMEOUT_S
