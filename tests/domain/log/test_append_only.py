"""What is in the log stays as it is, whoever connects to its database."""

import sqlite3
import subprocess
from pathlib import Path

import psycopg
import pytest

from domain.log import recorder
from domain.log.engine import IntegrityError, LogWentBack, PersistenceError, StoredEvent
from domain.log.recorder import LogRecorder
from tests.support.postgres import PostgresServer, find_binaries
from tests.support.stores import Store

ENTRY = "'host/a', 1, 'host.removed', x'7b7d', ''"
BOTH = [
    "UPDATE stored_events SET topic = 'x'",
    "UPDATE stored_events SET state = state WHERE position = 1",
    "DELETE FROM stored_events",
    "DELETE FROM stored_events WHERE position = 2",
]
SQLITE = [
    "UPDATE OR IGNORE stored_events SET topic = 'x'",
    "UPDATE OR REPLACE stored_events SET position = 1 WHERE position = 2",
    "UPDATE stored_events SET position = 99 WHERE position = 2",
    "REPLACE INTO stored_events VALUES (1, 'host/b', 1, 't', x'7b7d', '', NULL)",
    "REPLACE INTO stored_events VALUES (NULL, 'host/a', 1, 't', x'7b7d', '', NULL)",
    "INSERT OR REPLACE INTO stored_events VALUES (2, 'host/z', 7, 't', x'7b7d', '', NULL)",
    "INSERT OR REPLACE INTO stored_events VALUES (NULL, 'host/a', 2, 't', x'7b7d', '', NULL)",
    (
        "INSERT INTO stored_events VALUES (1, 'host/b', 1, 't', x'7b7d', '', NULL)"
        " ON CONFLICT (position) DO UPDATE SET topic = 'x'"
    ),
    (
        "INSERT INTO stored_events VALUES (NULL, 'host/a', 1, 't', x'7b7d', '', NULL)"
        " ON CONFLICT (originator_id, originator_version) DO UPDATE SET topic = 'x'"
    ),
    "INSERT INTO stored_events VALUES (-7, 'host/b', 1, 't', x'7b7d', '', NULL)",
    "INSERT INTO stored_events VALUES (0, 'host/b', 1, 't', x'7b7d', '', NULL)",
]
POSTGRESQL = [
    "TRUNCATE stored_events",
    "TRUNCATE stored_events RESTART IDENTITY CASCADE",
    (
        "INSERT INTO stored_events (originator_id, originator_version, topic, state, recorded_at)"
        " VALUES ('host/a', 1, 't', '{}', '') ON CONFLICT (originator_id, originator_version)"
        " DO UPDATE SET topic = 'x'"
    ),
    "INSERT INTO stored_events VALUES (7, 'host/b', 1, 't', '{}', '', NULL)",
    "UPDATE stored_events SET position = DEFAULT",
    "WITH gone AS (DELETE FROM stored_events RETURNING 1) SELECT * FROM gone",
    "MERGE INTO stored_events USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
]


def event(name: str, version: int, state: bytes = b"{}") -> StoredEvent:
    """An entry."""
    return StoredEvent(f"host/{name}", version, "host.removed", state)


def fill(store: Store) -> LogRecorder:
    """Two entries."""
    log = LogRecorder(store.engine)
    log.insert_events([event("a", 1), event("a", 2)])
    return log


def rows(store: Store) -> list[tuple[object, ...]]:
    """All that the log says."""
    with store.engine.snapshot() as tx:
        found = tx.execute("SELECT * FROM stored_events ORDER BY position").fetchall()
    return [tuple(row) for row in found]


@pytest.mark.parametrize("statement", BOTH)
def test_what_is_stored_cannot_be_changed_or_deleted(store: Store, statement: str) -> None:
    fill(store)
    before = rows(store)
    with (
        pytest.raises(PersistenceError, match="append-only"),
        store.engine.append(1) as appending,
    ):
        appending.tx.execute(statement)
    assert rows(store) == before


@pytest.mark.parametrize("ours", [True, False], ids=["our connection", "a plain one"])
@pytest.mark.parametrize("statement", BOTH + SQLITE)
def test_sqlite_refuses_it_on_every_connection(
    sqlite_store: Store, statement: str, ours: bool
) -> None:
    fill(sqlite_store)
    before = rows(sqlite_store)
    if ours:
        with pytest.raises(IntegrityError), sqlite_store.engine.append(1) as appending:
            appending.tx.execute(statement)
    else:
        plain = sqlite3.connect(sqlite_store.path)
        with pytest.raises(sqlite3.IntegrityError), plain:
            plain.execute(statement)
        plain.close()
    assert rows(sqlite_store) == before


@pytest.mark.parametrize("statement", BOTH + POSTGRESQL)
def test_postgresql_refuses_it_on_every_connection(postgres_store: Store, statement: str) -> None:
    fill(postgres_store)
    before = rows(postgres_store)
    with psycopg.connect(postgres_store.url) as plain, pytest.raises(psycopg.Error):
        plain.execute(statement.encode())
    assert rows(postgres_store) == before


def test_a_version_is_stored_once_and_its_batch_is_all_or_nothing(store: Store) -> None:
    log = fill(store)
    for again in ([event("a", 2)], [event("b", 1), event("a", 1)], [event("c", 1), event("c", 1)]):
        with pytest.raises(IntegrityError):
            log.insert_events(again)
    assert len(rows(store)) == 2


def test_a_position_that_somebody_chose_never_slips_in_behind(sqlite_store: Store) -> None:
    log = fill(sqlite_store)
    with sqlite3.connect(sqlite_store.path) as plain:
        plain.execute("INSERT INTO stored_events VALUES (9, 'host/b', 1, 't', x'7b7d', '', NULL)")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            plain.execute(
                "INSERT INTO stored_events VALUES (5, 'host/b', 2, 't', x'7b7d', '', NULL)"
            )
    plain.close()
    assert log.insert_events([event("b", 2)]) == [10]


def test_sqlite_never_gives_a_position_twice_even_after_a_dump_and_restore(
    sqlite_store: Store, tmp_path: Path
) -> None:
    fill(sqlite_store)
    vandal = sqlite3.connect(sqlite_store.path)
    vandal.execute("DROP TRIGGER stored_events_refuse_delete")
    vandal.execute("DELETE FROM stored_events WHERE position = 2")
    vandal.commit()
    restored = sqlite3.connect(tmp_path / "restored.db")
    restored.executescript("\n".join(vandal.iterdump()))
    restored.close()
    vandal.close()
    other = LogRecorder(sqlite_store.another_engine(f"sqlite:///{tmp_path / 'restored.db'}"))
    other.create_table()
    assert other.insert_events([event("a", 2)]) == [3]
    assert LogRecorder(sqlite_store.engine).insert_events([event("a", 2)]) == [3]


def test_postgresql_never_gives_a_position_twice_even_after_a_dump_and_restore(
    postgres_store: Store, postgres_server: PostgresServer
) -> None:
    fill(postgres_store)
    with psycopg.connect(postgres_store.url, autocommit=True) as vandal:
        vandal.execute("ALTER TABLE stored_events DISABLE TRIGGER ALL")
        vandal.execute("DELETE FROM stored_events WHERE position = 2")
        vandal.execute("ALTER TABLE stored_events ENABLE TRIGGER ALL")
    programs, name = find_binaries(), postgres_server.create_database()
    dump = subprocess.run(
        [programs / "pg_dump", "--no-owner", postgres_store.url], check=True, capture_output=True
    ).stdout
    url = postgres_server.url(name)
    subprocess.run(
        [programs / "psql", "-qX", "-v", "ON_ERROR_STOP=1", url],
        input=dump, check=True, capture_output=True,
    )  # fmt: skip
    restored = LogRecorder(postgres_store.another_engine(url))
    restored.create_table()
    assert restored.insert_events([event("a", 2)]) == [3]
    assert LogRecorder(postgres_store.engine).insert_events([event("a", 2)]) == [3]


def test_a_batch_that_was_rolled_back_leaves_nothing(store: Store) -> None:
    log = fill(store)
    with store.engine.append(1) as appending:
        recorder.insert(appending.tx, appending.head, [event("a", 3)])
    assert len(rows(store)) == 2
    positions = log.insert_events([event("a", 3)])
    assert positions is not None
    assert positions[0] > 2


def test_recorded_at_never_decreases_though_the_clock_goes_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogRecorder(store.engine)
    clock = ["2026-01-01T00:00:00.000002", "2026-01-01T00:00:00.000001", "2020-01-01T00:00:00.0"]
    monkeypatch.setattr(recorder, "now", lambda: clock.pop(0))
    for version in (1, 2, 3):
        log.insert_events([event("a", version), event("b", version)])
    with store.engine.snapshot() as tx:
        times = [entry.recorded_at for entry in recorder.entries(tx, 0, 10)]
    assert times == ["2026-01-01T00:00:00.000002"] * 6


def test_an_event_whose_version_before_is_missing_is_not_stored(store: Store) -> None:
    log = fill(store)
    before = len(rows(store))
    for hole in ([event("a", 4)], [event("new", 2)], [event("b", 1), event("b", 3)]):
        with pytest.raises(LogWentBack):
            log.insert_events(hole)
    assert len(rows(store)) == before
