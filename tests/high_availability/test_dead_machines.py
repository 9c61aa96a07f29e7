"""Servers that are dead, alone, or unwilling: whoever can be answered is, and soon."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from domain.log.engines.postgres import PostgresEngine
from tests.faults.proxy import Proxy
from tests.high_availability.pair import Pair
from tests.support.postgres import HOST, SUPERUSER, PostgresServer
from tests.support.service import Service, wait_for

AT_ONCE_S = 1.0
FOUND_S = 9.0
"""That a server is silent; it is four seconds where the machine has time. A statement has ten."""
SILENT = "127.0.0.7"
START_LIMIT_S = 30.0
CONNECTIONS = 3
CLIENTS = 8
CHANGES = 120


@contextmanager
def swallowing(host: str, port: int = 0) -> Iterator[int]:
    """A port of a machine that swallows every attempt to connect."""
    with socket.socket() as listener:
        listener.bind((host, port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]  # nobody accepts: its queue is full
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
        for one in waiting:
            one.close()


@pytest.fixture
def dead_port() -> Iterator[int]:
    """Of such a machine."""
    with swallowing(HOST) as port:
        yield port


def command(service: Service, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command beside the service, with the same environment."""
    line = [sys.executable, "-m", "runners.cli", *words, "--data", str(service.data)]
    return subprocess.run(
        line, capture_output=True, text=True, env=service.environment(), check=False, timeout=60
    )


def kinds(service: Service) -> set[str]:
    """Of what `/readyz` says is wrong."""
    parts = httpx.get(f"{service.url}/readyz", timeout=30).json()["parts"]
    return {part["kind"] for part in parts if not part["ready"]}


@contextmanager
def superuser(server: PostgresServer, url: str) -> Iterator[psycopg.Connection]:
    """A connection of an administrator to a service's database."""
    database = url.rpartition("/")[2]
    with psycopg.connect(server.url(database, SUPERUSER), autocommit=True) as connection:
        yield connection


def test_a_first_server_that_swallows_everything_holds_nobody_up(
    postgres_server: PostgresServer, postgres_url: str, dead_port: int, tmp_path: Path
) -> None:
    place = f"{HOST}:{postgres_server.port}"
    url = postgres_url.replace(place, f"{HOST}:{dead_port},{place}") + "?connect_timeout=2"
    began = time.monotonic()
    with Service(tmp_path / "service", url, "--no-runners") as service:
        assert time.monotonic() - began < START_LIMIT_S
        began = time.monotonic()
        assert service.client.put("/cluster/web").status_code == 201
        assert time.monotonic() - began < AT_ONCE_S
        assert f'"event":"database.connected","host":"{place}"' in service.read_log()
        checked = command(service, "log", "check")
        assert checked.returncode == 0, checked.stderr


def test_a_name_of_several_addresses_is_reached_at_the_one_that_answers(
    postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the name's addresses are is said by the test; the machines at them are real."""
    tcp = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    found = [(*tcp, (address, 0)) for address in (SILENT, HOST)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: found)
    url = postgres_url.replace(f"@{HOST}:", "@database.test:") + "?connect_timeout=2"
    with swallowing(SILENT, postgres_server.port):
        engine = PostgresEngine(url)
        for _ in range(2):
            with engine.snapshot() as tx:
                assert tx.execute("SELECT 1").fetchone() == (1,)
                assert tx.place == f"database.test:{postgres_server.port}"
        engine.close()


def test_who_reads_right_after_the_cut_waits_until_it_is_found_and_no_longer(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    proxy = Proxy(HOST, postgres_server.port)
    url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    with (
        Service(tmp_path / "service", url, "--command-timeout-s", "30") as service,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        assert service.client.put("/cluster/web").status_code == 201
        proxy.freeze()
        began = time.monotonic()
        answers = [clients.submit(service.client.get, "/cluster/web") for _ in range(CLIENTS)]
        assert {answer.result().status_code for answer in answers} == {503}
        assert time.monotonic() - began < FOUND_S
        proxy.thaw()
        wait_for(lambda: service.client.get("/cluster/web").status_code == 200)
    proxy.close()


def test_a_right_that_is_revoked_ends_no_process_and_is_named(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    with (
        Service(tmp_path / "service", postgres_url, "--command-timeout-s", "2") as service,
        superuser(postgres_server, postgres_url) as admin,
    ):
        admin.execute("ALTER TABLE stored_events OWNER TO postgres")
        refused = service.client.put("/cluster/web")
        assert refused.status_code == 503
        assert "permission denied" in refused.json()["detail"]
        wait_for(lambda: "database.refuses" in kinds(service))
        assert service.client.get("/events").status_code == 503
        admin.execute("ALTER TABLE stored_events OWNER TO commissaire")
        wait_for(lambda: service.client.put("/cluster/web").status_code == 201)
        wait_for(lambda: not kinds(service))


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        pytest.param(Proxy.cut, Proxy.mend, id="cut"),
        pytest.param(Proxy.freeze, Proxy.thaw, id="frozen", marks=pytest.mark.proof),
    ],
)
def test_while_it_is_cut_off_a_read_is_refused_at_once(
    postgres_server: PostgresServer,
    postgres_url: str,
    tmp_path: Path,
    fault: Callable[[Proxy], None],
    mend: Callable[[Proxy], None],
) -> None:
    proxy = Proxy(HOST, postgres_server.port)
    url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    with Service(tmp_path / "service", url, "--command-timeout-s", "3") as service:
        assert service.client.put("/cluster/web").status_code == 201
        fault(proxy)
        wait_for(lambda: service.client.get("/cluster/web").status_code == 503)
        wait_for(lambda: refused_at_once(service))
        assert sum(refused_at_once(service) for _ in range(10)) > 5  # this machine may be busy
        mend(proxy)
        wait_for(lambda: service.client.get("/cluster/web").status_code == 200)
    proxy.close()


def refused_at_once(service: Service) -> bool:
    """Whether a read was, and within the limit."""
    began = time.monotonic()
    status = service.client.get("/cluster/web").status_code
    return status == 503 and time.monotonic() - began < AT_ONCE_S


@pytest.mark.proof
def test_changes_that_wait_for_a_standby_that_is_gone_hold_nobody_else_up(
    pair: Pair, tmp_path: Path
) -> None:
    pair.be_synchronous()
    with Service(tmp_path / "service", pair.url, "--command-timeout-s", "8") as service:
        assert service.client.put("/cluster/web").status_code == 201
        pair.second.stop()
        for number in range(3):
            refused = service.client.put(f"/cluster/alone{number}")
            assert refused.status_code == 503, refused.text
            assert "look before you repeat" in refused.json()["detail"]
            assert service.client.get("/cluster/web").status_code == 200
        wait_for(lambda: pair.first.ask(WAITING) <= 1)
        pair.second.start()
        wait_for(lambda: service.client.put("/cluster/again").status_code == 201)


def test_while_a_table_is_locked_changes_and_reads_are_refused_and_then_go_on(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    flags = ("--no-runners", "--command-timeout-s", "1")
    with Service(tmp_path / "service", postgres_url, *flags) as service:
        assert service.client.put("/cluster/web").status_code == 201
        with superuser(postgres_server, postgres_url) as admin, admin.transaction():
            admin.execute("LOCK TABLE clusters IN ACCESS EXCLUSIVE MODE")  # as VACUUM FULL does
            assert service.client.put("/cluster/other").status_code == 503
            assert service.client.get("/cluster/web").status_code == 503
        wait_for(lambda: service.client.put("/cluster/other").status_code == 201)
        assert service.client.get("/clusters").json() == ["other", "web"]


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_a_server_that_is_full_says_what_to_do_to_a_command(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    with Service(tmp_path / "service", postgres_url, "--no-runners") as service:
        with superuser(postgres_server, postgres_url) as admin:
            admin.execute(f"ALTER ROLE commissaire CONNECTION LIMIT {own(admin)}")
            told = command(service, "log", "check").stderr
            admin.execute(f"ALTER ROLE commissaire CONNECTION LIMIT {own(admin) + 1}")
            with_one_left = command(service, "log", "check")
            admin.execute("ALTER ROLE commissaire CONNECTION LIMIT -1")
        assert "too many connections" in told
        assert "max_connections" in told, told
        assert with_one_left.returncode == 0, with_one_left.stderr


def test_a_process_has_no_more_connections_than_it_was_given(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    flags = ("--database-connections", str(CONNECTIONS), "--no-log-requests")
    with (
        Service(tmp_path / "service", postgres_url, *flags) as service,
        superuser(postgres_server, postgres_url) as admin,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):

        def change(number: int) -> int:
            service.client.put(f"/cluster/c{number}")
            return service.client.get("/clusters").status_code

        answers = [clients.submit(change, number) for number in range(CHANGES)]
        most = 0
        while not all(answer.done() for answer in answers):
            most = max(most, own(admin))
        assert {answer.result() for answer in answers} == {200}
        assert 1 < most <= CONNECTIONS + 1  # one more looks whether the server answers


def own(admin: psycopg.Connection) -> int:
    """How many connections the service's role has."""
    found = admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'commissaire'"
    ).fetchone()
    assert found is not None
    return int(found[0])
