"""Rebuilding that is interrupted, held back, or meets what it cannot handle."""

from dataclasses import replace
from pathlib import Path

import pytest

from domain.commands import fleet_commands
from domain.log import recorder
from domain.log.engine import StoredEvent
from domain.log.recorder import LogRecorder
from projections import hosts
from projections.all import PROJECTIONS
from projections.projection import made
from projections.rebuilding import rebuild
from projections.rebuilding.scratch import Scratch, ScratchTaken
from projections.rebuilding.verification import verify
from tests.projections.histories import carry_out, random_history
from tests.projections.rebuilding.rebuilds import HOSTS, digests, rebuilt, save_always, write
from tests.support.stores import Store, done

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
