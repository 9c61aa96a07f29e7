"""PostgreSQL restarts, is cut off, or falls silent: 503 meanwhile, never a hang, nothing lost."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.client import Client
from tests.faults.conftest import ALONE
from tests.faults.models.journal import CROWD, Journal
from tests.faults.models.whole import must_be_whole
from tests.faults.proxy import Proxy
from tests.support.postgres import HOST, PostgresServer, StopMode
from tests.support.service import Service, wait_for

COMMAND_TIMEOUT_S = 4.0
ANSWER_LIMIT_S = COMMAND_TIMEOUT_S * 2 + 2.0
"""However silent the database is, an answer comes by then (with some room for a busy machine)."""
RECOVERY_LIMIT_S = 20.0
CLIENTS = 4
READERS = 8


@pytest.fixture
def proxy(postgres_server: PostgresServer, postgres_url: str) -> Iterator[Proxy]:
    """A proxy before the server."""
    proxy = Proxy(HOST, postgres_server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def service(
    tmp_path: Path, proxy: Proxy, postgres_server: PostgresServer, postgres_url: str
) -> Iterator[Service]:
    """A service that reaches its database through the proxy."""
    url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    limit = ("--command-timeout-s", str(COMMAND_TIMEOUT_S))
    with Service(tmp_path / "service", url, *ALONE, *limit) as running:
        yield running


class Traffic:
    """Clients that write, each with its journal, and clients that read; all take their time."""

    def __init__(self, service: Service, seed: int) -> None:
        Client(service).put(f"/cluster/{CROWD}")
        self.journals = [Journal(service, number, seed) for number in range(CLIENTS)]
        self.statuses: set[int] = set()
        self.reads = 0
        self._service = service
        self._stop = threading.Event()
        readers = [Client(service) for _ in range(READERS)]
        self.clients = [*readers, *(journal.client for journal in self.journals)]
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._write, journal))
            for journal in self.journals
        ] + [
            threading.Thread(target=self._guarded, args=(self._read, reader)) for reader in readers
        ]
        self._errors: list[BaseException] = []

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        self.must_go_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def must_go_on(self) -> None:
        """Changes are carried out, and reads answered, all by themselves."""
        answered, reads = self._answered(), self.reads
        wait_for(
            lambda: self._errors or (self._answered() > answered + 20 and self.reads > reads + 20),
            RECOVERY_LIMIT_S,
        )

    def must_be_refused(self) -> None:
        """Every client that writes is told 503, or that nobody knows whether it was stored.

        Who was told that asks nothing more until it can look, and so is not refused again.
        """
        before = [journal.refused for journal in self.journals]
        wait_for(
            lambda: (
                self._errors
                or all(
                    journal.refused > count or journal.maybe is not None
                    for journal, count in zip(self.journals, before, strict=True)
                )
            ),
            ANSWER_LIMIT_S * 2,
        )

    def _answered(self) -> int:
        return sum(journal.answered for journal in self.journals)

    def _guarded(self, run: Callable[..., None], *args: object) -> None:
        try:
            run(*args)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for us
            self._errors.append(error)
            self._stop.set()

    def _write(self, journal: Journal) -> None:
        while not self._stop.is_set():
            if journal.maybe is None:
                journal.ask_once()
            else:
                journal.try_to_compare()

    def _read(self, client: Client) -> None:
        paths = ("/clusters", "/hosts", f"/cluster/{CROWD}", f"/cluster/{CROWD}/hosts")
        while not self._stop.is_set():
            for path in paths:
                answer = client.request("GET", path)
                self.statuses.add(answer.status)
                assert answer.status == 200 or "retry-after" in answer.headers, answer
                self.reads += answer.status == 200


def must_have_lost_nothing(traffic: Traffic, url: str) -> None:
    """After the traffic has ended."""
    for journal in traffic.journals:
        journal.compare()
    assert traffic.statuses <= {200, 503}
    assert max(client.slowest_s for client in traffic.clients) < ANSWER_LIMIT_S
    must_be_whole(url)


@pytest.mark.parametrize("mode", ["immediate", pytest.param("fast", marks=pytest.mark.proof)])
def test_a_restart_of_the_database_in_the_middle_of_traffic_loses_nothing(
    mode: StopMode, service: Service, postgres_server: PostgresServer, postgres_url: str
) -> None:
    with Traffic(service, seed=1) as traffic:
        postgres_server.restart(mode)
        traffic.must_go_on()
    must_have_lost_nothing(traffic, postgres_url)


@pytest.mark.proof
def test_a_database_that_is_stopped_is_503_and_when_it_is_back_the_service_goes_on(
    service: Service, postgres_server: PostgresServer, postgres_url: str
) -> None:
    with Traffic(service, seed=2) as traffic:
        postgres_server.stop("fast")
        traffic.must_be_refused()
        assert 503 in traffic.statuses
        postgres_server.start()
        traffic.must_go_on()
    must_have_lost_nothing(traffic, postgres_url)


@pytest.mark.proof
def test_connections_that_are_cut_are_503_until_they_can_be_made_again(
    service: Service, proxy: Proxy, postgres_url: str
) -> None:
    with Traffic(service, seed=3) as traffic:
        proxy.cut()
        traffic.must_be_refused()
        proxy.mend()
        traffic.must_go_on()
    must_have_lost_nothing(traffic, postgres_url)


def test_a_database_that_falls_silent_is_503_in_time_for_changes_and_reads(
    service: Service, proxy: Proxy, postgres_url: str
) -> None:
    with Traffic(service, seed=4) as traffic:
        proxy.freeze()
        traffic.must_be_refused()
        wait_for(lambda: 503 in traffic.statuses, ANSWER_LIMIT_S)
        proxy.thaw()
        traffic.must_go_on()
    must_have_lost_nothing(traffic, postgres_url)
    assert service.stop() == 0


@pytest.mark.proof
def test_a_service_stops_though_its_database_is_silent(service: Service, proxy: Proxy) -> None:
    client = Client(service)
    assert client.put("/cluster/web").status == 201
    proxy.freeze()
    assert client.put("/cluster/other").status == 503
    assert service.stop() == 0
