"""`commissaire log check` says what is wrong with a log, and changes nothing."""

import json
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from domain.commands import fleet_commands
from domain.log import recorder
from domain.log.engines.sqlite import SQLiteEngine
from runners.cli.log.check import Findings, check
from runners.cli.main import run
from tests.support.stores import Store, done, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

FORGED = (
    "INSERT INTO stored_events (originator_id, originator_version, topic, state, recorded_at)"
    " VALUES (?, ?, ?, ?, ?)"
)


def options(store: Store) -> list[str]:
    """What a command line says of where the store is."""
    if store.engine.name == "sqlite":
        return ["--data", str(store.path.parent)]
    return ["--database", store.url]


@pytest.fixture
def written(store: Store) -> Store:
    """A store whose log has four events, of two clusters and the network that they use."""
    with store.writer() as writer:
        for name in ("web", "db"):
            done(writer, fleet_commands.create_cluster, name, "default", "")
        done(writer, fleet_commands.remove_cluster, "web")
    return store


def forge(store: Store, *row: object) -> None:
    """Write into the log as no writer does."""
    with store.engine.append(10) as appending:
        appending.tx.execute(FORGED, row)
        appending.commit()


def test_a_whole_log_is_whole_and_status_0(
    written: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["log", "check", *options(written)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("The log is whole up to position ")
    assert told.err == ""
    assert run(["log", "check", "--json", *options(written)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["wrong"] == ""
    assert found["events"] == len(written.topics())
    assert set(found["projections"].values()) == {found["position"]}


def test_an_empty_log_is_whole(store: Store) -> None:
    assert check(store.engine) == Findings(projections={})


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (("cluster/db", 9, "cluster.removed", b"{}", "9999"), "version 9 of cluster/db follows"),
        (("cluster/x", 1, "cluster.flown", b"{}", "9999"), "cluster.flown of cluster/x cannot"),
        (("cluster/x", 1, "cluster.removed", b"{", "9999"), "cluster.removed of cluster/x cannot"),
        (("cluster/x", 1, "cluster.host_joined", b"{}", "9999"), "it has no address"),
        (("cluster/x", 1, "cluster.removed", b"{}", "0001"), "was recorded at 0001, before"),
        (
            ("source/x", 1, "source.came_back", b"{}", "9999"),
            "projection accounts is at position 3, the log at 4",
        ),
    ],
)
def test_what_is_wrong_is_named_with_status_1(
    written: Store, row: tuple[object, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(written, *row)
    assert run(["log", "check", *options(written)]) == 1
    told = capsys.readouterr()
    assert sentence in told.out
    assert told.err == ""
    assert run(["log", "check", "--json", *options(written)]) == 1
    assert sentence in json.loads(capsys.readouterr().out)["wrong"]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM stored_events WHERE position = 1", "Position 1 is missing: 2 follows 0."),
        (
            "DELETE FROM stored_events WHERE position = (SELECT max(position) FROM stored_events)",
            "entries are missing at the end",
        ),
        ("UPDATE sqlite_sequence SET seq = 1", "would be given out again"),
    ],
)
def test_on_sqlite_no_position_may_be_missing(
    sqlite_store: Store, statement: str, sentence: str
) -> None:
    with sqlite_store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
        done(writer, fleet_commands.create_cluster, "db", "default", "")
    with sqlite_store.engine.append(10) as appending:
        appending.tx.execute("DROP TRIGGER stored_events_refuse_delete")
        appending.tx.execute(statement)
        appending.commit()
    assert sentence in check(sqlite_store.engine).wrong


def test_gaps_that_postgresql_leaves_are_no_fault(postgres_store: Store) -> None:
    with postgres_store.engine.append(10) as appending:  # and rolled back
        appending.tx.execute(FORGED, ("cluster/x", 1, "cluster.removed", b"{}", "9999"))
    with postgres_store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "after", "default", "")
    with postgres_store.engine.snapshot() as tx:
        positions = [entry.position for entry in recorder.entries(tx, 0, 100)]
    assert len(positions) < positions[-1]
    assert check(postgres_store.engine).wrong == ""


def test_commands_that_read_make_nothing_and_change_nothing(
    sqlite_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite_store.writer() as writer:
        done(writer, fleet_commands.create_cluster, "web", "default", "")
    target = tmp_path / "restored"
    assert run(["backup", str(target), "--data", str(sqlite_store.path.parent)]) == 0
    before = (target / "commissaire.db").read_bytes()
    assert run(["log", "check", "--data", str(target)]) == 0
    assert [path.name for path in target.iterdir()] == ["commissaire.db"]
    assert (target / "commissaire.db").read_bytes() == before
    capsys.readouterr()
    assert run(["log", "check", "--data", str(tmp_path / "no")]) == 1
    assert "There is no database" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_reader_cannot_write(sqlite_store: Store) -> None:
    with closing(SQLiteEngine(sqlite_store.path, read_only=True)) as engine:
        with pytest.raises(Exception, match="readonly"), engine.append(1) as appending:
            appending.tx.execute(FORGED, ("cluster/x", 1, "cluster.removed", b"{}", "9999"))
        assert check(engine).wrong == ""


def test_a_database_without_a_log_is_named(
    tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "commissaire.db").touch()
    assert run(["log", "check", "--data", str(tmp_path)]) == 1
    assert "has no log: no service has ever run on it." in capsys.readouterr().err
    assert run(["log", "check", "--database", postgres_url]) == 1
    assert "has no log: no service has ever run on it." in capsys.readouterr().err
    (tmp_path / "commissaire.db").write_bytes(b"SQLite format 3\0 and then nothing of the kind")
    assert run(["log", "check", "--data", str(tmp_path)]) == 1
    assert "cannot be used" in capsys.readouterr().err


def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    user = psycopg.conninfo.conninfo_to_dict(postgres_url)["user"]
    url = f"postgresql://{user}:hidden-word@127.0.0.1:1/fleet"
    assert run(["log", "check", "--database", url]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("commissaire: postgresql://127.0.0.1:1/fleet cannot be reached: ")
    assert "hidden-word" not in line
