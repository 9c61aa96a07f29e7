"""Bad manners on the wire, said in raw bytes."""

import json
import random
import socket
import time
from contextlib import suppress

import pytest

from tests.runners.http_server.raw_requests import (
    AUTH,
    SHORT_S,
    get,
    put,
    say,
    statuses,
    strict,
)
from tests.web.service import TIMEOUT_S, WebService, raw_answers

__all__ = ["strict"]


# What is no HTTP


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_with_a_problem_and_closed(
    strict: WebService, garbage: bytes
) -> None:
    answer = say(strict, garbage)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert statuses(answer) in ([400], [401], [404])
    if statuses(answer) == [400]:
        assert b"\r\nx-request-id: " in head
        assert b"\r\nconnection: close" in head
        assert b"\r\ncontent-type: application/problem+json" in head
        assert json.loads(body)["status"] == 400


def test_garbage_after_a_request_does_not_disturb_its_answer(strict: WebService) -> None:
    answers = say(strict, get() + get(b"/healthz") + b"\x00garbage\r\n\r\n" + get())
    assert statuses(answers) == [200, 200, 400]
    assert strict.faults[-1].kind == "syntax"


def test_a_body_that_is_garbage_is_400_once(strict: WebService) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n"
    assert statuses(say(strict, put(chunked, body=b"zz\r\nab"))) == [400]
    assert statuses(say(strict, get() + put(chunked, body=b"zz\r\nab"))) == [200, 400]


def test_more_pipelined_requests_than_anybody_needs_are_refused(strict: WebService) -> None:
    few = say(strict, get(b"/healthz") * 50 + get(b"/healthz", b"Connection: close\r\n"))
    assert statuses(few) == [200] * 51
    many = statuses(say(strict, get(b"/healthz") * 1000))
    assert many[-1] == 400
    assert set(many[:-1]) == {200}


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n"])
def test_a_request_that_names_no_host_or_two_is_400(strict: WebService, hosts: bytes) -> None:
    rest = hosts + AUTH + b"Connection: close\r\n\r\n"
    answer = say(strict, b"GET /api/v0/clusters HTTP/1.1\r\n" + rest)
    assert statuses(answer) == [400]
    assert b"one Host header" in answer
    assert statuses(say(strict, b"GET /api/v0/clusters HTTP/1.0\r\n" + rest)) == [200]


def test_a_client_that_hangs_up_its_half_still_gets_its_answers(strict: WebService) -> None:
    """As `printf … | nc -N` does."""
    for asked, wanted in (
        (put(b"Content-Length: 2\r\n", body=b"{}"), [201]),
        (get() + put(b"Content-Length: 2\r\n", body=b"{}") + get(), [200, 201, 200]),
        (get() + put(b"Content-Length: 3\r\n", body=b"{}"), []),
    ):
        with strict.connect() as connection:
            connection.sendall(asked)
            connection.shutdown(socket.SHUT_WR)
            answers = raw_answers(connection)
        assert statuses(answers)[: len(wanted)] == wanted


def test_a_trailer_is_no_header(strict: WebService) -> None:
    head = b"PUT /api/v0/cluster/trailer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = say(strict, head + b"0\r\n" + AUTH + b"\r\n")
    assert statuses(answer) == [401]


# Slowness and size


def test_a_head_that_does_not_end_in_time_is_408(strict: WebService) -> None:
    begin = time.monotonic()
    with strict.connect() as connection:
        for byte in get()[:40]:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            if not _open_for(connection, 0.02):
                break
        answer = raw_answers(connection)
    assert statuses(answer) == [408]
    assert time.monotonic() - begin < SHORT_S * 10


def _open_for(connection: socket.socket, seconds: float) -> bool:
    """Whether nothing comes for so long."""
    connection.settimeout(seconds)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(TIMEOUT_S)
    return False


def test_a_connection_that_says_nothing_is_closed_also_when_it_sends_line_ends(
    strict: WebService,
) -> None:
    assert say(strict) == b""
    assert statuses(say(strict, get())) == [200]
    with strict.connect() as connection:
        connection.sendall(get())
        until = time.monotonic() + TIMEOUT_S
        while _open_for(connection, 0.05) or connection.recv(65536):
            assert time.monotonic() < until
            try:
                connection.sendall(b"\r\n")
            except OSError:
                break


def test_a_head_that_is_too_large_is_431(strict: WebService) -> None:
    for large in (
        get(b"/" + b"a" * 5000),
        get(b"/healthz", b"X: " + b"a" * 5000 + b"\r\n"),
        get(b"/healthz", b"X: y\r\n" * 2000),
    ):
        assert statuses(say(strict, large)) == [431]
    endless = (b"GET / HTTP/1.1\r\n", *[b"X" * 2000] * 4)
    assert statuses(say(strict, *endless)) == [431]
    many_small = get(b"/healthz") * 60 + get(b"/healthz", b"Connection: close\r\n")
    assert statuses(say(strict, many_small)) == [200] * 61


def test_a_body_that_comes_too_slowly_is_408(strict: WebService) -> None:
    answer = say(strict, put(b"Content-Length: 100\r\n", body=b"{"))
    assert statuses(answer) == [408]


def test_a_body_over_the_limit_is_413_though_the_client_reads_only_at_the_end(
    strict: WebService,
) -> None:
    for connection in (b"", b"Connection: close\r\n"):
        for size in (20_000, 60_000):
            declared = put(connection, b"Content-Length: %d\r\n" % size, body=b" " * size)
            assert statuses(say(strict, declared)) == [413]
        chunks = b"3e8\r\n" + b" " * 1000 + b"\r\n"
        chunked = put(
            connection, b"Transfer-Encoding: chunked\r\n", body=chunks * 30 + b"0\r\n\r\n"
        )
        assert statuses(say(strict, chunked)) == [413]


def test_after_413_the_connection_can_be_used_again(strict: WebService) -> None:
    large = put(b"Content-Length: 20000\r\n", body=b" " * 20_000)
    assert statuses(say(strict, large + get())) == [413, 200]


def test_a_body_without_an_end_is_not_read_forever(strict: WebService) -> None:
    with strict.connect() as connection:
        connection.sendall(put(b"Content-Length: 100000000000\r\n"))
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            connection.sendall(b" " * 50_000_000)


def test_refused_credentials_reach_a_client_that_closes_after_each_call(strict: WebService) -> None:
    head = b"PUT /api/v0/cluster/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    with strict.connect() as connection:
        connection.sendall(head + b"Content-Length: 4000\r\n\r\n")
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        connection.sendall(b" " * 4000)
        received += raw_answers(connection)
    assert statuses(received) == [401]
    assert b"connection: close" in received


def test_expect_100_continue_is_answered_before_the_body_and_not_after_a_refusal(
    strict: WebService,
) -> None:
    expect = b"Expect: 100-continue\r\nContent-Length: 2\r\n"
    with strict.connect() as connection:
        connection.sendall(put(expect))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert statuses(raw_answers(connection)) == [201]
    too_large = b"Expect: 100-continue\r\nContent-Length: 20000\r\n"
    with strict.connect() as connection:
        connection.sendall(put(too_large))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        assert statuses(answer) == [413]


def test_an_upgrade_that_nobody_offers_is_answered_as_if_it_were_not_asked(
    strict: WebService,
) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAA\r\n"
    assert statuses(say(strict, get(b"/api/v0/clusters", upgrade))) == [200]
    body = put(upgrade, b"Content-Length: 2\r\n", body=b"{}")
    assert statuses(say(strict, body)) == [201]


def test_http_1_0_is_answered_and_closed(strict: WebService) -> None:
    answer = say(strict, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert statuses(answer) == [200]
    assert answer.endswith(b"ok\n")


def test_x_forwarded_for_is_not_believed(strict: WebService) -> None:
    say(strict, get(b"/healthz", b"X-Forwarded-For: 6.6.6.6\r\nX-Request-ID: spoof\r\n"))
    line = next(line for line in strict.log if line["request_id"] == "spoof")
    assert line["client"] == "127.0.0.1"


@pytest.mark.parametrize("seed", range(20))
def test_it_does_not_matter_how_requests_are_cut_into_pieces(strict: WebService, seed: int) -> None:
    chunked = put(b"Transfer-Encoding: chunked\r\n", body=b"1\r\n{\r\n1\r\n}\r\n0\r\nA: b\r\n\r\n")
    said = [
        get(),
        put(b"Content-Length: 2\r\n", body=b"{}"),
        chunked,
        b"\r\n" + get(b"/none"),
        put(b"Content-Length: 3\r\n", body=b"[1]"),
        get(b"/healthz", b"Content-Length: 5\r\n") + b"hello",
        b"HEAD" + get(b"/healthz", b"Connection: close\r\n")[3:],
    ]
    conversation = b"".join(said)
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, len(conversation)), 10))
    pieces = [conversation[i:j] for i, j in zip([0, *cuts], [*cuts, None], strict=True)]
    with strict.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            _open_for(connection, 0.002)
        assert statuses(raw_answers(connection)) == [200, 201, 201, 404, 400, 200, 200]


def test_a_client_that_never_reads_is_cut_off(strict: WebService) -> None:
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(SHORT_S)
        deaf.connect(("127.0.0.1", strict.port))
        until = time.monotonic() + TIMEOUT_S
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - again and again
            while time.monotonic() < until:
                with suppress(TimeoutError):
                    deaf.sendall(get(b"/none") * 50)
