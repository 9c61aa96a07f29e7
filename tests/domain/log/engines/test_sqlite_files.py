"""The files of SQLite: private, and not larger than they need to be."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain.log.engine import OtherLog
from domain.log.engines.sqlite import WAL_BYTES_KEPT, SQLiteEngine
from domain.log.recorder import LogRecorder

ROW_BYTES = 100_000


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def write(engine: SQLiteEngine, rows: int) -> None:
    for _ in range(rows):
        with engine.append(lock_timeout_s=1) as appending:
            # Other bytes each time: SQLite leaves pages alone that stay the same.
            appending.tx.execute("UPDATE t SET v = randomblob(?)", (ROW_BYTES,))
            appending.commit()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SQLiteEngine]:
    engine = SQLiteEngine(tmp_path / "log.db")
    LogRecorder(engine).create_table()
    engine.execute_schema(["CREATE TABLE t (v BLOB)", "INSERT INTO t VALUES (zeroblob(1))"])
    yield engine
    engine.close()


def test_files_are_their_owners_alone_whatever_the_umask(open_umask: None, tmp_path: Path) -> None:
    engine = SQLiteEngine(tmp_path / "log.db")
    engine.execute_schema(["CREATE TABLE t (v TEXT)"])
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    engine.close()
    assert modes == {"log.db": 0o600, "log.db-wal": 0o600, "log.db-shm": 0o600}


def test_a_file_that_everybody_could_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.touch(0o644)
    SQLiteEngine(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_wal_that_a_foreign_reader_held_up_shrinks_again(engine: SQLiteEngine) -> None:
    wal = Path(f"{engine.path}-wal")
    with closing(sqlite3.connect(engine.path)) as foreign:
        foreign.execute("BEGIN")
        foreign.execute("SELECT count(*) FROM t").fetchone()
        write(engine, 100)
        assert wal.stat().st_size > 2 * WAL_BYTES_KEPT
    write(engine, 100)
    assert wal.stat().st_size <= 2 * WAL_BYTES_KEPT


@pytest.mark.parametrize("other", [False, True], ids=["moved away", "replaced"])
def test_a_file_that_was_replaced_is_read_by_no_further_connection_nor_made_anew(
    engine: SQLiteEngine, tmp_path: Path, other: bool
) -> None:
    engine.path.rename(tmp_path / "elsewhere")
    if other:
        engine.path.touch()
    with pytest.raises(OtherLog, match="was replaced"):
        engine.connect()
    assert engine.path.exists() == other


def test_what_was_committed_is_in_the_file_that_was_moved_away_and_nothing_more_comes_to_it(
    engine: SQLiteEngine, tmp_path: Path
) -> None:
    write(engine, 1)
    away = tmp_path / "elsewhere"
    engine.path.rename(away)
    with pytest.raises(OtherLog, match="was replaced"):
        write(engine, 1)
    away.rename(engine.path)
    with pytest.raises(OtherLog, match="was replaced"):
        write(engine, 1)  # its WAL is gone, and would take it along
    engine.close()
    with closing(sqlite3.connect(engine.path)) as again:
        assert again.execute("SELECT length(v) FROM t").fetchall() == [(ROW_BYTES,)]


def test_nothing_is_written_to_a_wal_that_was_deleted(engine: SQLiteEngine) -> None:
    write(engine, 1)
    Path(f"{engine.path}-wal").unlink()
    with pytest.raises(OtherLog, match="was replaced"):
        write(engine, 1)
