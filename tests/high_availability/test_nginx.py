"""Two processes behind nginx, as the documents have it: a restart of one is noticed by nobody."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.docs.test_operating import nginx
from tests.end_to_end.processes.several import several
from tests.fleet.addresses import free_port
from tests.support.certificates import Authority
from tests.support.service import Service, wait_for

CLIENTS = 4
RESTARTS = 2
VOLUME = 17_500
"""Requests, with the long runs."""
ANSWERS_BETWEEN = 40
"""So many answers are waited for between two restarts."""


class Load:
    """Clients that put a new cluster each time, read it, and post an operation on it."""

    def __init__(self, url: str, password: str, authority: Authority) -> None:
        self.statuses: Counter[int] = Counter()
        self.errors: list[str] = []
        self._clients = [
            httpx.Client(
                base_url=f"{url}/api/v0",
                auth=("admin", password),
                verify=authority.trust(),
                timeout=60,
            )
            for _ in range(CLIENTS)
        ]
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(client, f"c{number}"))
            for number, client in enumerate(self._clients)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for client in self._clients:
            client.close()

    def go_on(self, pause_s: float) -> None:
        """Wait for some more answers, for so long at least."""
        wanted, due = self.statuses.total() + ANSWERS_BETWEEN, time.monotonic() + pause_s
        wait_for(
            lambda: self.errors or (self.statuses.total() >= wanted and time.monotonic() >= due)
        )

    def _run(self, client: httpx.Client, name: str) -> None:
        for number in count():
            if self._stop.is_set():
                return
            path = f"/cluster/{name}-{number}"
            try:
                self.statuses[client.put(path).status_code] += 1
                self.statuses[client.get(path).status_code] += 1
                wanted = {"kind": "restart", "cluster": f"{name}-{number}"}
                self.statuses[client.post("/operations", json=wanted).status_code] += 1
            except httpx.HTTPError as error:
                self.errors.append(repr(error))
                return


def kill(service: Service) -> None:
    """As a crash."""
    service.kill()


def stop(service: Service) -> None:
    """As an operator does it."""
    service.stop()


@pytest.mark.parametrize(
    ("end", "pause_s", "volume"),
    [
        pytest.param(stop, 0, 200, id="few"),
        pytest.param(stop, 15, VOLUME, id="stop-15s", marks=pytest.mark.proof),
        pytest.param(stop, 0.5, VOLUME, id="stop-0.5s", marks=pytest.mark.proof),
        pytest.param(kill, 0.5, VOLUME, id="kill-0.5s", marks=pytest.mark.proof),
    ],
)
def test_restarts_under_load_make_no_error_and_no_change_twice(
    postgres_url: str, tmp_path: Path, end: Callable[[Service], None], pause_s: float, volume: int
) -> None:
    authority = Authority(tmp_path)
    flags = ("--no-runners", "--trusted-proxy", "127.0.0.1/32", "--stop-announced-s", "0.2")
    with several(2, tmp_path, [postgres_url] * 2, *flags) as services:
        for service in services:  # the same port again, and the same users
            service.stop()
            service.restart_with(
                "--port",
                str(free_port("127.0.0.1")),
                "--users",
                str(services[0].data / "users.json"),
            )
        restarts = 0
        with (
            nginx(tmp_path, services[0], authority, services[1]) as url,
            Load(url, services[0].password, authority) as load,
        ):
            while restarts < RESTARTS or load.statuses.total() < volume:
                load.go_on(pause_s)
                end(services[restarts % 2])
                load.go_on(0)
                services[restarts % 2].start()
                restarts += 1
            load.go_on(pause_s)
        print(f"{load.statuses} with {restarts} restarts")
        assert not load.errors
        assert set(load.statuses) == {200, 201}, load.statuses
        for type_ in ("cluster.created", "cluster.operation_started"):
            assert max(told(services[0], type_).values()) == 1


def told(service: Service, type_: str) -> Counter[str]:
    """How often each cluster was, or was begun to be worked on, by the log."""
    found: Counter[str] = Counter()
    after = 0
    while True:
        query = f"type={type_}&limit=1000&after={after}"
        page = service.client.get(f"/events?{query}").json()
        if not page:
            return found
        found.update(event["subject"] for event in page)
        after = int(page[-1]["id"])


class Dying:
    """A process that is killed with every request that it has read."""

    def __enter__(self) -> "Dying":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = 0
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _run(self) -> None:
        with suppress(OSError):  # the test is over
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    connection.recv(65_536)
                    self.asked += 1


def test_a_post_that_a_process_died_with_is_answered_by_the_next(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        Service(tmp_path / "service", None, "--no-runners") as service,
        Dying() as dying,
        nginx(tmp_path, dying, authority, service) as url,
    ):
        login = ("admin", service.password)
        assert service.client.put("/cluster/web").status_code == 201
        with httpx.Client(base_url=f"{url}/api/v0", auth=login, verify=authority.trust()) as client:
            wanted = {"kind": "restart", "cluster": "web"}
            answers = [client.post("/operations", json=wanted, timeout=60) for _ in range(4)]
        assert dying.asked > 0
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_stop_is_announced_before_connections_are_refused(tmp_path: Path) -> None:
    flags = ("--no-runners", "--stop-announced-s", "1")
    with Service(tmp_path / "service", None, *flags) as service:
        stopping = threading.Thread(target=service.stop)
        stopping.start()
        told = wait_for(lambda: _told(service))
        assert told == {"service.stopping"}
        assert service.client.put("/cluster/web").status_code == 201
        stopping.join()
        service.start()


def _told(service: Service) -> set[str]:
    answer = httpx.get(f"{service.url}/readyz")
    kinds = {part["kind"] for part in answer.json()["parts"] if not part["ready"]}
    assert answer.status_code == (503 if kinds else 200)
    return kinds
