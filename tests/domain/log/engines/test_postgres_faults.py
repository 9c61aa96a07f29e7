"""PostgreSQL goes away in every way there is: nothing is lost, nothing is done twice."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import psycopg
import pytest

from domain.aggregates.host import Registration
from domain.log.unit import Unit
from domain.refusal import Refusal
from projections import clusters
from tests.domain.log.engines.cutting_proxy import Cut, CuttingProxy
from tests.domain.log.writing import create, creating, names
from tests.support.postgres import HOST, PostgresServer
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store, done

ADDRESS = "10.0.0.1"


@pytest.fixture
def proxy(postgres_server: PostgresServer, postgres_store: Store) -> Iterator[CuttingProxy]:
    """A proxy before the server of `postgres_store`."""
    proxy = CuttingProxy((HOST, postgres_server.port))
    yield proxy
    proxy.close()


def register(unit: Unit) -> None:
    """A host."""
    unit.host(ADDRESS).register(Registration("root", 22), "x")


def read(unit: Unit) -> None:
    """A command that is an event each time."""
    unit.host(ADDRESS).read_credentials()


@pytest.mark.parametrize("cut", ["after", "before", "meanwhile"])
def test_a_commit_whose_reply_is_lost_is_done_exactly_once(
    postgres_store: Store, postgres_server: PostgresServer, proxy: CuttingProxy, cut: Cut
) -> None:
    url = postgres_store.url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    told: list[int] = []
    with postgres_store.writer(
        postgres_store.another_engine(url), on_commit=lambda _, r: told.append(len(r))
    ) as writer:
        done(writer, register)
        for cuts in (1, 2):
            proxy.arm(cut)
            assert done(writer, read) is None
            assert proxy.cuts == cuts
            assert done(writer, read) is None
    assert postgres_store.topics() == ["host.registered"] + ["host.credentials_read"] * 4
    assert told == [1] * 5
    postgres_store.must_be_consistent()


def test_a_commit_that_nobody_can_tell_of_is_not_said_to_have_changed_nothing(
    postgres_store: Store, postgres_server: PostgresServer, proxy: CuttingProxy
) -> None:
    url = postgres_store.url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    with postgres_store.writer(postgres_store.another_engine(url), timeout_s=1) as writer:
        done(writer, register)
        proxy.arm("after", for_good=True)
        refusal = writer.submit(ACT, read).exception(WAIT_TIMEOUT_S)
        assert isinstance(refusal, Refusal)
        assert refusal.kind == "unavailable"
        assert "look before you repeat" in refusal.sentence


def test_backends_that_are_terminated_are_not_noticed_by_commands_or_reads(
    postgres_store: Store,
) -> None:
    with postgres_store.writer() as writer:
        for n in range(2):
            terminate(postgres_store)
            assert done(writer, create, f"c{n}") == f"c{n}"
            terminate(postgres_store)
            with postgres_store.engine.snapshot() as tx:
                assert clusters.cluster(tx, f"c{n}") is not None


def test_a_backend_that_is_terminated_in_the_middle_of_a_command_does_it_once(
    postgres_store: Store,
) -> None:
    killed: list[int] = []

    def command(unit: Unit) -> None:
        create(unit, "web")
        if not killed:
            killed.append(terminate(postgres_store))

    with postgres_store.writer() as writer:
        done(writer, command)
    assert killed[0] >= 1
    assert postgres_store.topics() == ["cluster.created"]


def terminate(store: Store) -> int:
    """End every other connection to this database; returns how many."""
    with psycopg.connect(store.url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        assert found is not None
        return int(found[0])


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_in_the_middle_of_traffic_loses_nothing_and_does_nothing_twice(
    postgres_store: Store, postgres_server: PostgresServer, mode: Any
) -> None:
    stop = threading.Event()
    futures: dict[str, Future[Any]] = {}

    def traffic() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            name = f"c{n}"
            futures[name] = writer.submit(ACT, creating(name))
            threading.Event().wait(0.002)

    with postgres_store.writer() as writer:
        done(writer, create, "before")
        thread = threading.Thread(target=traffic)
        thread.start()
        for _ in range(2):
            count = len(futures)
            wait_until(lambda count=count: len(futures) > count + 50)
            postgres_server.restart(mode)
        stop.set()
        thread.join()
        assert done(writer, create, "after") == "after"
    done_names = {name for name, future in futures.items() if future.exception(0) is None}
    refused = [future.exception(0) for name, future in futures.items() if name not in done_names]
    assert all(isinstance(r, Refusal) and r.kind == "unavailable" for r in refused)
    assert len(done_names) > 50
    assert set(names(postgres_store)) >= done_names | {"before", "after"}
    topics = postgres_store.topics()
    assert len(topics) == len(names(postgres_store))
    if not any("look before" in r.sentence for r in refused if isinstance(r, Refusal)):
        assert len(topics) == len(done_names) + 2
    postgres_store.must_be_consistent()


def test_a_server_that_was_away_for_long_is_used_again_soon_after_it_is_back(
    postgres_store: Store, postgres_server: PostgresServer
) -> None:
    with postgres_store.writer(timeout_s=0.5) as writer:
        done(writer, create, "before")
        postgres_server.stop()
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            with pytest.raises(Refusal) as refused:
                done(writer, create, "meanwhile")
            assert refused.value.kind == "unavailable"
        postgres_server.start()
        back = time.monotonic()
        wait_until(lambda: writer.submit(ACT, creating("after")).exception() is None)
        assert time.monotonic() - back < 20, "on a busy machine too"
    assert names(postgres_store) == ["after", "before"]


def wait_until(condition: Any) -> None:
    """Wait for a condition, with a limit."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        threading.Event().wait(0.005)


def test_a_trigger_that_refuses_is_the_database_that_refuses_until_it_is_gone(
    postgres_store: Store,
) -> None:
    with psycopg.connect(postgres_store.url, autocommit=True) as administrator:
        administrator.execute(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'not today'; END $$"
        )
        administrator.execute(
            "CREATE TRIGGER no BEFORE INSERT ON stored_events FOR EACH ROW EXECUTE FUNCTION no()"
        )
        with postgres_store.writer() as writer:
            with pytest.raises(Refusal, match="not today"):
                done(writer, register)
            administrator.execute("DROP TRIGGER no ON stored_events")
            done(writer, register)
    postgres_store.must_be_consistent()
