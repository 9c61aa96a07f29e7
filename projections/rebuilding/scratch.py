"""The tables of a rebuild, apart from those that serve: a file of its own, beside the data.

Whoever serves has nothing of it: no lock on the database, no page that has to be read again, and
nothing is left behind in it where a rebuild dies. What has been saved is gone on with by whoever
rebuilds the same projections next. There is no secret in it, because there is none in the log.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from domain.log.engines.sqlite import translated
from domain.log.transaction import SQLiteTransaction
from projections.projection import Projection
from projections.tables import StoredTables, Table, every_row

FILE_MODE = 0o600
ROWS_IN_MEMORY_MAX = 200_000
"""Beyond, rows are read again from the file when they are needed."""

BEGUN = """
    CREATE TABLE scratch (
        what TEXT NOT NULL, position INTEGER NOT NULL, place TEXT NOT NULL
    ) STRICT
"""


class ScratchTaken(Exception):
    """Another process rebuilds there."""


class Scratch:
    """Rows of projections up to a position of the log; `None` for a path keeps them in memory.

    Holding it open keeps all others out, until this process closes it or dies.
    """

    def __init__(self, path: Path | None, projections: Sequence[Projection]) -> None:
        self._path = path
        self._projections = projections
        self._what = json.dumps(
            [
                (each.name, each.version, [table.create for table in each.tables])
                for each in projections
            ]
        )
        self.tables: StoredTables
        """As projections see them."""
        self.position = 0
        self.place = ""
        """What the log has at that position, in the words of whoever rebuilds."""

    def __enter__(self) -> Self:
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._connection.close()
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                with translated():
                    raise
            raise ScratchTaken(f"{self._path}: another process rebuilds read models") from None
        except sqlite3.DatabaseError:  # what is there is no database, or not any more
            self._connection.close()
            self._unlink()
            self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def rows(self, table: Table[Any]) -> Iterator[tuple[Any, ...]]:
        """All rows, in the order of their keys."""
        self.tables.flush()
        return every_row(self._tx, table)

    def save(self, position: int, place: str) -> None:
        """Keep what has been projected up to a position, to go on from there."""
        with translated():
            self.tables.flush()
            sql = "UPDATE scratch SET position = ?, place = ?"
            self._connection.execute(sql, (position, place))
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN IMMEDIATE")
        self.position, self.place = position, place
        if self.tables.row_count > ROWS_IN_MEMORY_MAX:
            self.tables.forget()

    def begin_anew(self) -> None:
        """Delete all that was saved."""
        names = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        for (name,) in names.fetchall():
            self._connection.execute(f'DROP TABLE "{name}"')
        self._connection.execute(BEGUN)
        self._connection.execute("INSERT INTO scratch VALUES (?, 0, '')", (self._what,))
        for table in (table for each in self._projections for table in each.tables):
            self._connection.execute(table.schema("sqlite")[0])  # rows are found by their keys only
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        self.tables = StoredTables(self._tx)
        self.position, self.place = 0, ""

    def delete(self) -> None:
        """Delete the scratch file."""
        self._connection.close()
        self._unlink()

    def _open(self) -> None:
        if self._path is not None:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        self._connection = sqlite3.connect(
            self._path or ":memory:", isolation_level=None, timeout=0, check_same_thread=False
        )
        self._tx = SQLiteTransaction(self._connection)
        # The lock is the kernel's, and gone with the process.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        # What a loss of power takes is made again; half of it is never there.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("BEGIN IMMEDIATE")
        found = self._found()
        if found is None or found[0] != self._what:
            self.begin_anew()
        else:
            _, self.position, self.place = found
            self.tables = StoredTables(self._tx)

    def _found(self) -> Any:
        sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'scratch'"
        if self._connection.execute(sql).fetchone()[0] == 0:
            return None
        return self._connection.execute("SELECT what, position, place FROM scratch").fetchone()

    def _unlink(self) -> None:
        if self._path is not None:
            for suffix in ("", "-wal", "-shm", "-journal"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
