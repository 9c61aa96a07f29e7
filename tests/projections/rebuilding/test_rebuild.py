"""A rebuild gives what the log says, whoever appends meanwhile and wherever it dies."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.commands import fleet_commands
from domain.log import recorder
from domain.log.engine import Contended, Engine, StoredEvent
from domain.log.recorder import LOG, LogRecorder
from domain.log.transaction import EngineName, Rows, Transaction
from projections import hosts, tables
from projections.all import PROJECTIONS
from projections.projection import Projection, made
from projections.rebuilding import rebuild
from projections.rebuilding.rebuild import Rebuilt
from projections.rebuilding.scratch import Scratch, ScratchTaken
from projections.rebuilding.verification import digest, verify
from tests.projections.histories import carry_out, random_history
from tests.support.stores import Store, done

HOSTS, CLUSTERS = PROJECTIONS[:2]


def rebuilt(store: Store, path: Path, projections: Sequence[Projection] = PROJECTIONS) -> Rebuilt:
    """Rebuild to the end."""
    with Scratch(path / "scratch.db", projections) as scratch:
        return rebuild.rebuild(store.engine, projections, scratch)


def save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """After every batch."""
    monkeypatch.setattr(rebuild, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(rebuild, "SAVE_SHARE", float("inf"))


def digests(store: Store) -> list[str]:
    """Of all projections."""
    with store.engine.snapshot() as tx:
        return [digest(tx, projection) for projection in PROJECTIONS]


def write(store: Store, *statements: str) -> None:
    """Change tables by hand."""
    with store.engine.append(1) as appending:
        for sql in statements:
            appending.tx.execute(sql)
        appending.commit()


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


# Again and again


class Died(BaseException):
    """As if by kill -9, but the lock goes with the process."""


@pytest.mark.parametrize("seed", range(4))
def test_it_goes_on_where_it_died(
    store: Store, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, random_history(seed, 120))
    write(store, "UPDATE hosts SET tag = 'x'")
    monkeypatch.setattr(rebuild, "BATCH_EVENTS", 10)
    save_always(monkeypatch)
    began: list[int] = []

    def dies(position: int, head: int) -> None:
        if not began or position > began[-1] + 10 * (1 + seed):
            began.append(position)
            raise Died

    for _ in range(3):
        with Scratch(tmp_path / "scratch.db", PROJECTIONS) as scratch:
            assert scratch.position == (began[-1] if began else 0)
            with pytest.raises(Died):
                rebuild.rebuild(store.engine, PROJECTIONS, scratch, advance=dies)
    with Scratch(tmp_path / "scratch.db", PROJECTIONS) as scratch:
        assert scratch.position == began[-1] > 0
        rebuild.rebuild(store.engine, PROJECTIONS, scratch)
    store.must_be_consistent()


def half_done(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild that died half-way."""
    monkeypatch.setattr(rebuild, "BATCH_EVENTS", 10)
    save_always(monkeypatch)

    def dies(position: int, head: int) -> None:
        if position > 30:
            raise Died

    with pytest.raises(Died), Scratch(path, PROJECTIONS) as scratch:
        rebuild.rebuild(store.engine, PROJECTIONS, scratch, advance=dies)


def test_what_is_of_other_projections_another_log_or_no_database_is_begun_anew(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scratch.db"
    carry_out(sqlite_store, random_history(5, 120))
    half_done(sqlite_store, path, monkeypatch)
    for others in ([HOSTS], [replace(HOSTS, version=99), *PROJECTIONS[1:]]):
        with Scratch(path, others) as scratch:
            assert scratch.position == 0
        half_done(sqlite_store, path, monkeypatch)
    with Scratch(path, PROJECTIONS) as scratch:
        assert scratch.position > 0
        scratch.save(scratch.position, "what another log has there")
        rebuild.rebuild(sqlite_store.engine, PROJECTIONS, scratch)
    sqlite_store.must_be_consistent()
    path.write_bytes(b"no database" * 1000)
    with Scratch(path, PROJECTIONS) as scratch:
        assert scratch.position == 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_process_rebuilds_in_one_place(tmp_path: Path) -> None:
    with (
        Scratch(tmp_path / "scratch.db", PROJECTIONS),
        pytest.raises(ScratchTaken, match="another process"),
        Scratch(tmp_path / "scratch.db", PROJECTIONS),
    ):
        pass
    with Scratch(tmp_path / "scratch.db", PROJECTIONS):
        pass


def test_few_rows_in_memory_are_enough(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(store, random_history(6, 150))
    monkeypatch.setattr("projections.rebuilding.scratch.ROWS_IN_MEMORY_MAX", 1)
    monkeypatch.setattr(rebuild, "BATCH_EVENTS", 7)
    save_always(monkeypatch)
    before = digests(store)
    names = [table.name for each in PROJECTIONS for table in each.tables]
    write(store, *(f"DELETE FROM {name}" for name in names))  # noqa: S608 - names are ours
    rebuilt(store, tmp_path)
    assert digests(store) == before


def test_it_is_held_back_on_request(sqlite_store: Store, tmp_path: Path) -> None:
    carry_out(sqlite_store, random_history(7, 100))
    now, slept = [0.0], [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        slept[0] += seconds

    with Scratch(tmp_path / "scratch.db", PROJECTIONS) as scratch:
        found = rebuild.rebuild(
            sqlite_store.engine,
            PROJECTIONS,
            scratch,
            events_per_second=50,
            clock=lambda: now[0],
            sleep=sleep,
        )
    assert (found.position - 10) / 50 <= slept[0] <= found.position / 50


# What cannot be handled


def test_a_projection_that_cannot_handle_an_event_stops_and_the_others_are_rebuilt(
    store: Store, tmp_path: Path
) -> None:
    carry_out(store, random_history(8, 60))
    with store.engine.snapshot() as tx:
        position = recorder.head(tx).position
    LogRecorder(store.engine).insert_events([StoredEvent("network/x", 1, "network.created", b"{")])
    write(store, "UPDATE hosts SET tag = 'x'", "UPDATE networks SET tag = 'x'")
    found = rebuilt(store, tmp_path)
    assert set(found.stops) == {"networks"}
    assert f"before position {position + 1} of the log" in found.stops["networks"].why
    assert "network.created" in found.stops["networks"].why
    assert found.changed["hosts"] > 0
    with store.engine.snapshot() as tx:
        assert tx.execute("SELECT count(*) FROM hosts WHERE tag = 'x'").fetchone()[0] == 0
        right = "SELECT count(*) FROM networks WHERE tag <> 'x'"
        assert tx.execute(right).fetchone()[0] == 0
        assert made(tx)["networks"].position == position
        assert made(tx)["hosts"].position == position + 1
    wrong = {each.name: each.wrong for each in verify(store.engine, PROJECTIONS) if each.wrong}
    assert wrong == {"networks": found.stops["networks"].why}


def test_rows_of_other_columns_are_replaced_with_their_table(store: Store, tmp_path: Path) -> None:
    carry_out(store, random_history(9, 60))
    before = digests(store)
    write(
        store,
        "DROP TABLE hosts",
        "CREATE TABLE hosts (address TEXT PRIMARY KEY, of_old TEXT NOT NULL)",
        "INSERT INTO hosts VALUES ('10.0.0.1', 'x')",
    )
    (verdict,) = verify(store.engine, [HOSTS])
    assert verdict.wrong == "Its tables have other columns."
    assert rebuilt(store, tmp_path, [HOSTS]).changed["hosts"] > 0
    assert digests(store) == before
    with store.engine.snapshot() as tx:
        assert hosts.hosts(tx, hosts.Filter(status="active")) is not None


# Verification


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE clusters SET total = 77", "clusters: row 'db-1' has total 77, and it should be "),
        ("DELETE FROM clusters", "clusters: there is no row 'db-1', and there should be one."),
        (
            "INSERT INTO members VALUES ('0', 'web', 7, 1)",
            "members: there is a row '0', and there should be none.",
        ),
    ],
)
def test_verification_names_the_first_row_that_differs(
    store: Store, change: str, told: str
) -> None:
    with store.writer() as writer:
        for name in ("db-1", "web"):
            done(writer, fleet_commands.create_cluster, name, "default", "")
    good = verify(store.engine, PROJECTIONS)
    assert [each.wrong for each in good] == [""] * len(PROJECTIONS)
    assert all(each.live == each.rebuilt for each in good)
    write(store, change)
    wrong = [each for each in verify(store.engine, PROJECTIONS) if each.wrong]
    assert [each.name for each in wrong] == ["clusters"]
    assert wrong[0].wrong.startswith(told)
    assert wrong[0].live != wrong[0].rebuilt


def test_verification_says_what_is_behind(store: Store) -> None:
    carry_out(store, random_history(2, 30))
    LogRecorder(store.engine).insert_events([StoredEvent("source/x", 1, "source.came_back", b"{}")])
    (verdict,) = verify(store.engine, [HOSTS])
    assert "It is at position" in verdict.wrong
