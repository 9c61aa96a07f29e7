"""A rebuild gives what the log says, whoever appends meanwhile and wherever it dies."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.commands import fleet_commands
from domain.log import recorder
from domain.log.engine import Contended, Engine
from domain.log.recorder import LOG
from domain.log.transaction import EngineName, Rows, Transaction
from projections import tables
from projections.all import PROJECTIONS
from projections.rebuilding import rebuild
from projections.rebuilding.scratch import Scratch
from projections.rebuilding.verification import digest, verify
from tests.projections.histories import carry_out, random_history
from tests.projections.rebuilding.rebuilds import (
    CLUSTERS,
    HOSTS,
    digests,
    rebuilt,
    write,
)
from tests.support.stores import Store, done


def test_what_is_right_is_left_alone(store: Store, tmp_path: Path) -> None:
    carry_out(store, random_history(1, 150))
    before = digests(store)
    found = rebuilt(store, tmp_path)
    with store.engine.snapshot() as tx:
        assert found.position == recorder.head(tx).position
    assert found.changed == dict.fromkeys((each.name for each in PROJECTIONS), 0)
    assert digests(store) == before
    assert not list(tmp_path.glob("scratch*"))


@pytest.mark.parametrize("batch", [1, 3, 5000])
def test_what_is_wrong_is_put_right(
    store: Store, tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, random_history(1, 100))
    before = digests(store)
    write(
        store,
        "UPDATE hosts SET status = 'active', head = 'x'",
        "DELETE FROM members WHERE address < '10.0.0.2'",
        "INSERT INTO nodes VALUES ('0', 'ghost'), ('~', 'ghost')",
    )
    assert digests(store) != before
    monkeypatch.setattr(rebuild, "BATCH_EVENTS", batch)
    found = rebuilt(store, tmp_path)
    assert found.changed["hosts"] > 1
    assert found.changed["container_managers"] == 2
    assert digests(store) == before
    store.must_be_consistent()


@pytest.mark.parametrize("page", [1, 7, 250, 251])
def test_more_rows_than_a_page_or_a_statement_takes(
    sqlite_store: Store, tmp_path: Path, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_store.writer() as writer:
        for number in range(250):
            done(writer, fleet_commands.create_cluster, f"c-{number:03}", "default", "")
    write(sqlite_store, "UPDATE clusters SET tag = 'x' WHERE name >= 'c-017'")
    with monkeypatch.context() as changed:  # tables keep their statements: none but our own
        changed.setattr(tables, "PAGE_ROWS", page)
        projection = replace(CLUSTERS, tables=tuple(replace(table) for table in CLUSTERS.tables))
        assert rebuilt(sqlite_store, tmp_path, [projection]).changed == {"clusters": 233}
    sqlite_store.must_be_consistent()


def test_one_projection_alone_leaves_the_others_alone(store: Store, tmp_path: Path) -> None:
    carry_out(store, random_history(2, 100))
    write(store, "UPDATE hosts SET tag = 'x'", "UPDATE clusters SET tag = 'x'")
    assert set(rebuilt(store, tmp_path, [HOSTS]).changed) == {"hosts"}
    wrong = [verdict.name for verdict in verify(store.engine, PROJECTIONS) if verdict.wrong]
    assert wrong == ["clusters"]


# Beside others


class Sneaking:
    """An engine whose every look at the log is followed by what somebody else appends, if he can.

    `sneak()` gives False where the append lock keeps him out.
    """

    def __init__(self, engine: Engine, sneak: Any) -> None:
        self._engine = engine
        self._sneak = sneak
        self.name = engine.name

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """As the engine does it."""
        with self._engine.snapshot() as tx:
            yield SneakingTransaction(tx, self._sneak)

    @contextmanager
    def append(self, lock_timeout_s: float) -> Iterator[Any]:
        """As the engine does it."""
        with self._engine.append(lock_timeout_s) as appending:
            yield SneakingAppending(appending, self._sneak)


class SneakingAppending:
    """A transaction that holds the append lock, or should."""

    def __init__(self, appending: Any, sneak: Any) -> None:
        self.head = appending.head
        self.tx = SneakingTransaction(appending.tx, sneak)
        self.commit = appending.commit


class SneakingTransaction:
    """Lets somebody in after each look at the log."""

    def __init__(self, tx: Transaction, sneak: Any) -> None:
        self._tx = tx
        self._sneak = sneak
        self.engine: EngineName = tx.engine
        self.server, self.place = tx.server, tx.place
        self.execute_each = tx.execute_each

    def execute(self, sql: str, params: Sequence[object] = ()) -> Rows:
        """As the engine does it, and then the other one."""
        found = self._tx.execute(sql, params)
        if sql != LOG:
            return found
        rows = found.fetchall()
        self._sneak()
        return Fetched(rows)


class Fetched:
    """Rows that were read before somebody came in."""

    def __init__(self, rows: list[Any]) -> None:
        self.fetchall = lambda: rows
        self.fetchone = lambda: rows[0] if rows else None


def test_nothing_is_appended_between_the_last_look_at_the_log_and_the_switch(
    store: Store, tmp_path: Path
) -> None:
    """Somebody tries to append after every look at the log: the classic race, each time."""
    carry_out(store, random_history(3, 40))
    other = store.another_engine()
    outcomes: list[bool] = []

    def sneak() -> None:
        name = f"sneaked-{len(outcomes)}"
        try:
            with other.append(0.05):
                pass
        except Contended:
            outcomes.append(False)
            return
        with store.writer(other) as writer:
            done(writer, fleet_commands.create_cluster, name, "default", "")
        outcomes.append(True)

    engine: Any = Sneaking(store.engine, sneak)
    with Scratch(tmp_path / "scratch.db", PROJECTIONS) as scratch:
        found = rebuild.rebuild(engine, PROJECTIONS, scratch)
    assert outcomes[-1] is False
    assert outcomes.count(True) == len(outcomes) - 1 >= 1
    with store.engine.snapshot() as tx:
        assert found.position == recorder.head(tx).position
        sql = "SELECT count(*) FROM clusters WHERE name LIKE 'sneaked-%'"
        assert tx.execute(sql).fetchone()[0] == outcomes.count(True)
    store.must_be_consistent()


def test_a_reader_sees_the_state_before_the_switch_or_after_it(
    store: Store, tmp_path: Path
) -> None:
    """A snapshot that began before stays what it was, and is in nobody's way."""
    carry_out(store, random_history(4, 100))
    right = digests(store)
    write(store, "UPDATE hosts SET tag = 'x'", "DELETE FROM clusters", "DELETE FROM members")
    other = store.another_engine()
    with other.snapshot() as tx:
        before = [digest(tx, projection) for projection in PROJECTIONS]
        assert before != right
        rebuilt(store, tmp_path)
        assert [digest(tx, projection) for projection in PROJECTIONS] == before
    assert digests(store) == right
