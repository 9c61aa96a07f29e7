"""The embedded engine: one SQLite file, in WAL mode, durable at every commit."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from domain.log.engine import (
    NOWHERE,
    Contended,
    IntegrityError,
    OperationalError,
    OtherLog,
    PersistenceError,
    Place,
    ProgrammingError,
    StorageFull,
)
from domain.log.schema import NEWEST
from domain.log.transaction import EngineName, SQLiteTransaction, Transaction

SCRUB_TIMEOUT_S = 0.5
"""How long a scrub may hold up the writer; whoever asked for it tries again later."""
SCRUB_PAUSE_S = 0.01
STATEMENTS_CACHED = 512
LOCK_TIMEOUT_S = 10.0
WAL_BYTES_KEPT = 4 * 1024 * 1024

READER_SETTINGS = ("PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF")
SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # what was answered survives a loss of power
    "PRAGMA secure_delete = ON",  # a destroyed key leaves no copy in a free page
    "PRAGMA recursive_triggers = ON",  # REPLACE fires the triggers that refuse DELETE
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    # Of each connection, in KiB. The system keeps the file's pages as well, once for all of them.
    "PRAGMA cache_size = -512",
    # A WAL that grew while a foreign reader held it up is cut to this when it begins anew.
    f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}",
)
FILE_MODE = 0o600
"""Of the database and of what SQLite lays beside it, whatever the umask and the directory are."""

Identity = tuple[int, int]
"""Device and inode of a file."""


class SQLiteAppending:
    """A `BEGIN IMMEDIATE` transaction: SQLite lets one connection write at a time."""

    def __init__(
        self, connection: sqlite3.Connection, on_commit: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = connection
        self._on_commit = on_commit
        self.tx = SQLiteTransaction(connection)
        self.head = Place(*(connection.execute(NEWEST).fetchone() or NOWHERE))

    def commit(self) -> None:
        """Make it durable."""
        try:
            self._connection.execute("COMMIT")
        finally:
            self._on_commit()

    def confirm(self) -> None:
        """A commit that was answered is durable, and there are no others."""


class SQLiteEngine:
    """One file. Every thread that reads has a connection of its own; so has the writer.

    `read_only` neither makes the file nor changes anything in it, not even how it is journalled.
    """

    name: EngineName = "sqlite"

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self.commits = 0
        """Another number after each commit of this process, before anybody is told of it."""
        self._numbers = count(1)
        self._wal = Path(f"{path}-wal")
        self._file: Identity | None = None
        self._beside: Identity | None = None
        """Which files the connections are to: the database, and its WAL."""
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._threads = threading.local()
        if not read_only:
            _make_private(path)

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        """A connection in autocommit mode, closed with the engine. `OtherLog` as in `append`."""
        if self._file not in (None, _identity(self.path)):
            raise self._replaced()
        # A WAL is read by those alone who may take part in it: "rw", not "ro". No file is made
        # where the database was before.
        mode = "rw" if self._read_only or self._file else "rwc"
        with translated():
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS_CACHED,
                timeout=LOCK_TIMEOUT_S,
            )
            for setting in READER_SETTINGS if self._read_only else SETTINGS:
                connection.execute(setting)
            if read_only:
                connection.execute("PRAGMA query_only = ON")
        with self._lock:
            self._connections.append(connection)
            self._file = self._file or _identity(self.path)
        return connection

    @contextmanager
    def append(self, lock_timeout_s: float) -> Iterator[SQLiteAppending]:
        """Take the write lock, or raise `Contended`; `OtherLog` where the file was replaced."""
        self._must_be_there()
        with self._writing(lock_timeout_s) as connection:
            yield SQLiteAppending(connection, self._count_commit)

    def _must_be_there(self) -> None:
        """What is written to a file that has no name any more is lost, and nobody would know."""
        found, wal = _identity(self.path), _identity(self._wal)
        if self._beside is None:
            self._beside = wal
        if self._file not in (None, found):
            if wal is not None and wal == self._beside:
                self._forget_wal()
            raise self._replaced()
        if wal != self._beside:
            raise self._replaced()

    def _replaced(self) -> OtherLog:
        return OtherLog(
            f"The database {self.path} was replaced while it was served, and nothing is written"
            " any more: stop the service, and start it again."
        )

    def _forget_wal(self) -> None:
        """SQLite would take the rest of the old file, which goes by the name, for the new one's.

        All of it is in the old file first, wherever that is now: it may be put back.
        """
        with suppress(PersistenceError):  # tried again with the next change
            self.scrub()
            self._wal.unlink()
            Path(f"{self.path}-shm").unlink(missing_ok=True)

    @contextmanager
    def _writing(self, lock_timeout_s: float) -> Iterator[sqlite3.Connection]:
        connection = self._of_this_thread()
        with translated():
            connection.execute(f"PRAGMA busy_timeout = {int(lock_timeout_s * 1000)}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            finally:
                _roll_back(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read one consistent state."""
        connection = self._of_this_thread()
        with translated():
            connection.execute("BEGIN")
            try:
                yield SQLiteTransaction(connection)
            finally:
                _roll_back(connection)

    def scrub(self) -> None:
        """Write the WAL back and empty it; `secure_delete` has zeroed the pages.

        Waits for readers of an older state, `SCRUB_TIMEOUT_S` at most.
        """
        connection = self._of_this_thread()
        deadline = time.monotonic() + SCRUB_TIMEOUT_S
        with translated():
            # Waiting is done below: SQLite would keep everybody else from writing meanwhile.
            connection.execute("PRAGMA busy_timeout = 0")
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > deadline:
                    raise Contended("a long read keeps the old state of the database")
                time.sleep(SCRUB_PAUSE_S)

    def must_answer(self) -> None:
        """A file is never away."""

    def suspect(self) -> None:
        """A file is never away."""

    def execute_schema(self, statements: Sequence[str]) -> None:
        """Create what does not exist yet."""
        with self._writing(LOCK_TIMEOUT_S) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.execute("COMMIT")
            self._count_commit()

    def close(self) -> None:
        """Close every connection, whichever thread it was for."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def _count_commit(self) -> None:
        # Whichever of two threads stores its number last: it is one that was not seen before.
        self.commits = next(self._numbers)

    def _of_this_thread(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = self.connect()
        return connection


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _roll_back(connection: sqlite3.Connection) -> None:
    # A failed COMMIT, and a full disk, may have ended the transaction already.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextmanager
def translated() -> Iterator[None]:
    """Raise the library's exceptions instead of the driver's."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise IntegrityError(str(error)) from error
    except sqlite3.OperationalError as error:
        # The low byte is the primary code; the rest tells details.
        code = error.sqlite_errorcode & 0xFF
        if code == sqlite3.SQLITE_FULL or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHMSIZE:
            raise StorageFull(str(error)) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Contended(str(error)) from error
        if code == sqlite3.SQLITE_ERROR:  # wrong SQL: trying again does not help
            raise ProgrammingError(str(error)) from error
        raise OperationalError(str(error)) from error
    except sqlite3.Error as error:
        raise PersistenceError(str(error)) from error


def _make_private(path: Path) -> None:
    """Make the file, if it is not there, and have nobody but its owner read it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            with suppress(FileNotFoundError, PermissionError):
                file.chmod(FILE_MODE)
    except OSError:
        pass  # SQLite says why the file cannot be used
