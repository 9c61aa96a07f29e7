"""The writer where the database is locked, away, or written by others."""

import threading
import time
from typing import Any

import psycopg
import pytest

from domain.aggregates.cluster import Created
from domain.commands import fleet_commands
from domain.log import recorder
from domain.log import unit as units
from domain.log.engine import OperationalError
from domain.log.engines.sqlite import SCRUB_TIMEOUT_S, SQLiteEngine
from domain.log.mapper import to_stored
from domain.log.recorder import LogRecorder
from domain.log.unit import Unit
from domain.refusal import Refusal
from tests.domain.log.test_append_only import event
from tests.domain.log.writing import create, creating, names
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store, done

SOME = 50


def test_a_lock_that_is_held_too_long_is_unavailable_and_nothing_is_stored(store: Store) -> None:
    other = store.another_engine()
    with store.writer(timeout_s=0.3) as writer, other.append(1):
        begun = time.monotonic()
        futures = [writer.submit(ACT, creating(name)) for name in "ab"]
        for future in futures:
            refusal = future.exception(WAIT_TIMEOUT_S)
            assert isinstance(refusal, Refusal)
            assert refusal.kind == "unavailable"
            assert "busy" in refusal.sentence
        assert time.monotonic() - begun < 5
        assert futures[0].exception() is not futures[1].exception()
    assert store.topics() == []


def test_contention_that_ends_in_time_is_waited_for(store: Store) -> None:
    other = store.another_engine()
    with store.writer() as writer:
        with other.append(1):
            future = writer.submit(ACT, creating("a"))
            with pytest.raises(TimeoutError):
                future.result(0.2)
        assert future.result(WAIT_TIMEOUT_S) == "a"


def test_what_another_process_appended_is_noticed_before_the_next_decision(store: Store) -> None:
    with store.writer() as one, store.writer(store.another_engine()) as two:
        done(one, create, "web")
        done(two, fleet_commands.remove_cluster, "web")
        with pytest.raises(Refusal):
            done(one, fleet_commands.remove_cluster, "web")
        done(one, create, "web")
        done(two, create, "web")
        done(two, create, "db")
        done(one, create, "db")
    assert store.topics() == [
        "cluster.created", "cluster.removed", "cluster.created", "cluster.created",
    ]  # fmt: skip
    store.must_be_consistent()


def test_events_that_were_inserted_unprojected_are_not_jumped_over(store: Store) -> None:
    with store.writer() as writer:
        done(writer, create, "web")
        registered = b'{"address":"a","remote_user":"root","ssh_port":22,"key_fingerprint":"x"'
        meta = b',"source":"","at":"","actor":"","correlation":""}'
        stored = event("a", 1, registered + meta)
        LogRecorder(store.engine).insert_events(
            [type(stored)("host/a", 1, "host.registered", registered + meta)]
        )
        done(writer, create, "db")
    store.must_be_consistent()


def test_a_command_may_use_more_aggregates_than_stay_in_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "AGGREGATES_MAX", 3)

    def command(unit: Unit) -> None:
        for name in "abcdefgh":
            create(unit, name)
        for name in "abcdefgh":
            unit.cluster(name).add("10.0.0.1")
            create(unit, name)

    with store.writer() as writer:
        done(writer, command)
        done(writer, command)
    assert store.topics() == ["cluster.created"] * 8 + ["cluster.host_joined"] * 8


class Breaking:
    """An engine whose first transactions break in the middle."""

    def __init__(self, engine: Any, breaks: int) -> None:
        self._engine, self.breaks = engine, breaks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def append(self, lock_timeout_s: float) -> Any:
        """Break while there are breaks left."""
        if self.breaks:
            self.breaks -= 1
            raise OperationalError("the connection broke")
        return self._engine.append(lock_timeout_s)


def test_a_database_that_is_away_for_a_moment_is_not_noticed(store: Store) -> None:
    engine: Any = Breaking(store.engine, 3)
    with store.writer(engine) as writer:
        assert done(writer, create, "a") == "a"
    assert store.topics() == ["cluster.created"]


def test_those_that_queue_behind_a_database_that_is_away_are_answered_in_time_too(
    store: Store,
) -> None:
    engine: Any = Breaking(store.engine, 1_000_000)
    begun = time.monotonic()
    with store.writer(engine, timeout_s=0.5) as writer:
        futures = [writer.submit(ACT, creating(f"c{n}")) for n in range(1000)]
        for future in futures:
            refusal = future.exception(WAIT_TIMEOUT_S)
            assert isinstance(refusal, Refusal)
            assert refusal.kind == "unavailable"
        assert time.monotonic() - begun < 20, "not each after the one before: that is 500 s"
        engine.breaks = 0
        assert done(writer, create, "back") == "back"
    assert names(store) == ["back"]


def test_a_long_read_does_not_let_a_scrub_hold_up_the_commands_after_it(
    sqlite_store: Store,
) -> None:
    scrubbed = threading.Event()

    class Watched(SQLiteEngine):
        """Says when it is done."""

        def scrub(self) -> None:
            """As ever."""
            super().scrub()
            scrubbed.set()

    def destroy(unit: Unit) -> None:
        unit.write_beside(lambda tx: None, scrub=True)

    engine = Watched(sqlite_store.path)
    with sqlite_store.writer(engine) as writer:
        done(writer, create, "a")
        with sqlite_store.engine.snapshot() as tx:
            assert tx.execute("SELECT count(*) FROM clusters").fetchone() == (1,)
            done(writer, create, "b")  # what the reader does not see keeps the WAL from going
            done(writer, destroy)
            begun = time.monotonic()
            for n in range(SOME):
                done(writer, create, f"c{n}")
            assert time.monotonic() - begun < SOME * SCRUB_TIMEOUT_S / 3, "no scrub at each of them"
            assert not scrubbed.is_set()
        assert scrubbed.wait(WAIT_TIMEOUT_S)
        assert sqlite_store.path.with_name("commissaire.db-wal").stat().st_size == 0
    engine.close()


def test_a_decision_is_as_of_the_lock_whatever_isolation_the_database_is_set_to(
    postgres_store: Store,
) -> None:
    with psycopg.connect(postgres_store.url, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN EXECUTE format("
            "'ALTER DATABASE %I SET default_transaction_isolation = %L',"
            " current_database(), 'serializable'); END $$"
        )
    one, two = postgres_store.another_engine(), postgres_store.another_engine()
    with postgres_store.writer(two) as writer:
        with one.append(1) as appending:
            future = writer.submit(ACT, creating("web"))
            with pytest.raises(TimeoutError):
                future.result(0.2)  # it waits for the lock
            stored = to_stored(
                Created("web", "default", "", originator_id="cluster/web", originator_version=1)
            )
            recorder.insert(appending.tx, appending.head, [stored])
            appending.commit()
        assert future.result(WAIT_TIMEOUT_S) == "web"
    assert postgres_store.topics() == ["cluster.created"]
