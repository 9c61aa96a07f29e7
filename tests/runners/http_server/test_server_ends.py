"""Where the server listens, whom it has room for, and how it stops."""

import asyncio
import resource
import threading
import time
from pathlib import Path

import pytest

from runners.http_server.server import CannotListen, Limits, Server
from tests.runners.http_server.raw_requests import (
    CONNECTIONS_MAX,
    SHORT_S,
    get,
    put,
    say,
    statuses,
    strict,
)
from tests.web.service import TIMEOUT_S, WebService, raw_answers, serving

__all__ = ["strict"]


# Crowds


def test_idle_connections_make_room_and_where_none_is_idle_the_answer_is_503(
    strict: WebService,
) -> None:
    idle = [strict.connect() for _ in range(CONNECTIONS_MAX * 3)]
    assert statuses(say(strict, get())) == [200]
    for connection in idle:
        connection.close()
    busy = [strict.connect() for _ in range(CONNECTIONS_MAX)]
    for connection in busy:
        connection.sendall(put(b"Expect: 100-continue\r\nContent-Length: 2\r\n"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
    answer = say(strict)
    assert statuses(answer) == [503]
    assert b"retry-after" in answer
    for connection in busy:
        connection.sendall(b"{}")
        assert statuses(raw_answers(connection)) == [201]
        connection.close()


# Starting and stopping


async def test_as_many_files_may_be_open_as_connections_are_allowed_where_the_system_lets_us() -> (
    None
):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = Server(nothing, "127.0.0.1", 0, Limits(connections_max=3000))
    await server.start()
    await server.stop(timeout_s=1)
    soft, unchanged = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert unchanged == hard
    assert soft == resource.RLIM_INFINITY or soft >= (3000 if hard == -1 else min(3000, hard))


async def nothing(scope: object, receive: object, send: object) -> None:
    """An application that is not called."""


async def test_a_taken_port_and_a_wrong_address_are_one_clear_exception() -> None:
    first = Server(nothing, "127.0.0.1", 0)
    await first.start()
    with pytest.raises(CannotListen, match=rf"127\.0\.0\.1 port {first.port}: "):
        await Server(nothing, "127.0.0.1", first.port).start()
    with pytest.raises(CannotListen, match=r"203\.0\.113\.1"):
        await Server(nothing, "203.0.113.1", 0).start()
    await first.stop(timeout_s=1)
    again = Server(nothing, "127.0.0.1", first.port)
    await again.start()
    await again.stop(timeout_s=1)


def test_stopping_answers_what_came_and_closes_what_is_idle(tmp_path: Path) -> None:
    with serving(tmp_path) as service, service.connect() as idle, service.connect() as busy:
        idle.sendall(get())
        assert b"200 OK" in idle.recv(65536)
        busy.sendall(put(b"Expect: 100-continue\r\nContent-Length: 2\r\n"))
        assert busy.recv(100).startswith(b"HTTP/1.1 100")
        stopping = threading.Thread(target=lambda: service.run(service.server.stop(timeout_s=10)))
        stopping.start()
        assert idle.recv(100) == b""
        with pytest.raises(ConnectionRefusedError):
            service.connect()
        busy.sendall(b"{}")
        assert statuses(raw_answers(busy)) == [201]
        stopping.join(TIMEOUT_S)
        assert service.server.connections == 0


def test_stopping_waits_no_longer_than_its_limit(tmp_path: Path) -> None:
    with serving(tmp_path) as service, service.connect() as slow:
        slow.sendall(put(b"Expect: 100-continue\r\nContent-Length: 2\r\n"))
        assert slow.recv(100).startswith(b"HTTP/1.1 100")
        begin = time.monotonic()
        service.run(service.server.stop(timeout_s=SHORT_S))
        assert time.monotonic() - begin < 5
        assert statuses(raw_answers(slow)) == [503]


def test_the_loop_is_the_callers(tmp_path: Path) -> None:
    async def serve_twice() -> None:
        for _ in range(2):
            server = Server(nothing, "127.0.0.1", 0)
            await server.start()
            await server.stop(timeout_s=1)

    asyncio.run(serve_twice())
