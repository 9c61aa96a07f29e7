"""PostgreSQL: several processes share one log; a table lock makes commit order position order."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, LiteralString

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from domain.log.engine import (
    NOWHERE,
    CommitUnknown,
    Contended,
    IntegrityError,
    OperationalError,
    PersistenceError,
    Place,
    StorageFull,
    TakesNoWrites,
    Unusable,
)
from domain.log.engines.database_watch import DatabaseWatch
from domain.log.engines.postgres_connection import (
    SILENCE_TIMEOUT_S,
    STATEMENT_TIMEOUT_S,
    Connection,
)
from domain.log.engines.postgres_servers import Servers, connections_to, first_line
from domain.log.schema import NEWEST
from domain.log.transaction import EngineName, PostgresTransaction, Transaction

CONNECTIONS_MAX = 8
POOL_WAIT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_MIN_S = 1.0
READ_SILENCE_TIMEOUT_S = 10.0
SCHEMA_SILENCE_TIMEOUT_S = STATEMENT_TIMEOUT_S + SILENCE_TIMEOUT_S
AWAY_LOOK_S = 0.5
"""How often whoever waits for a connection looks whether the database was found to be away."""
WATCH_TIMEOUT_S = 1.0
WATCH_CONNECT_TIMEOUT_S = 2
"""How long the database may take to answer when it is asked whether it is away."""
RECONNECT_TIMEOUT_S = 2.0
"""After which the pool starts anew: its pauses double, and a server that is back must not wait."""
IDLE_WITH_LOCK_TIMEOUT_S = 5
"""After which the server ends the transaction of a process that is gone with the append lock:
everybody else waits for it."""
APPEND_SETTINGS = f"""
    SELECT set_config('lock_timeout', %s, true),
        set_config('idle_in_transaction_session_timeout', '{IDLE_WITH_LOCK_TIMEOUT_S}s', true),
        set_config('synchronous_commit', CASE setting WHEN 'off' THEN 'on' ELSE setting END, true)
    FROM current_setting('synchronous_commit') AS setting
"""  # noqa: S608 - a number of ours
"""Of one transaction: what was answered survives a loss of power, however the server is set."""
CONSISTENT_READ: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
TAKE_PART = "SELECT pg_logical_emit_message(true, 'commissaire', '')"
"""Writes next to nothing, so that the commit waits for whatever was written before it."""
SCHEMA_LOCK = 0x636F6D6D  # "comm": one process at a time creates tables


class PostgresWriting:
    """A transaction that writes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.tx = PostgresTransaction(connection)

    def commit(self) -> None:
        """Make it durable."""
        self._connection.was_not_replicated = False
        try:
            self._connection.commit()
        except (errors.DiskFull, errors.OutOfMemory):
            raise  # the server says itself that it did not happen
        except psycopg.OperationalError as error:
            raise CommitUnknown(str(error)) from error
        if self._connection.was_not_replicated:
            raise CommitUnknown("the server did not wait for its standby")

    def confirm(self) -> None:
        """Wait, where commits wait for a standby, until that has what was committed before."""
        self.tx.execute(TAKE_PART)
        self.commit()


class PostgresAppending(PostgresWriting):
    """One that holds the log's EXCLUSIVE lock: others read, and wait to append."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.head = Place(*(self.tx.execute(NEWEST).fetchone() or NOWHERE))


class PostgresEngine:
    """One database, reached through a pool of connections."""

    name: EngineName = "postgresql"

    def __init__(
        self,
        url: str,
        *,
        connections_max: int = CONNECTIONS_MAX,
        on_use: Callable[[str], None] = lambda host: None,
    ) -> None:
        self._servers = Servers(url, on_use)
        self._class = connections_to(self._servers)
        self._watch = DatabaseWatch(self._answers)
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            connection_class=self._class,
            min_size=1,
            max_size=connections_max,
            timeout=POOL_WAIT_TIMEOUT_S,
            reconnect_timeout=RECONNECT_TIMEOUT_S,
            open=False,
        )
        self._pool.open()

    @property
    def _wait_s(self) -> float:
        """For a connection: each address of each server gets its try."""
        return max(POOL_WAIT_TIMEOUT_S, self._servers.attempts_s + 1)

    @contextmanager
    def append(self, lock_timeout_s: float) -> Iterator[PostgresAppending]:
        """Take the append lock, or raise `Contended`."""
        silence_s = max(min(lock_timeout_s, SILENCE_TIMEOUT_S), SILENCE_TIMEOUT_MIN_S)
        with self._connection(silence_s, min(lock_timeout_s, self._wait_s)) as connection:
            connection.execute(APPEND_SETTINGS, (f"{_milliseconds(lock_timeout_s)}ms",))
            connection.silence_timeout_s = lock_timeout_s + silence_s
            connection.execute("LOCK TABLE stored_events IN EXCLUSIVE MODE")
            connection.silence_timeout_s = silence_s
            yield PostgresAppending(connection)
            connection.rollback()

    @contextmanager
    def beside(self, silence_timeout_s: float) -> Iterator[PostgresWriting]:
        """Write beside the log, without its lock: what is no matter of events."""
        with self._connection(silence_timeout_s, silence_timeout_s) as connection:
            yield PostgresWriting(connection)
            connection.rollback()

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read one consistent state."""
        with self._connection(READ_SILENCE_TIMEOUT_S, begin=CONSISTENT_READ) as connection:
            yield PostgresTransaction(connection)
            connection.rollback()

    def must_answer(self) -> None:
        """Raise where it was found to be away."""
        if self._watch.is_away:
            raise self._away("the database does not answer")

    def suspect(self) -> None:
        """Find out whether it is away."""
        self._watch.suspect()

    def scrub(self) -> None:
        """Let VACUUM take the dead rows of the vault out of its pages."""
        with self._connection(SCHEMA_SILENCE_TIMEOUT_S) as connection:
            connection.rollback()
            connection.autocommit = True
            try:
                connection.execute("VACUUM vault")
            finally:
                connection.autocommit = False

    def execute_schema(self, statements: Sequence[str]) -> None:
        """Create what does not exist yet; one process at a time."""
        with self._connection(SCHEMA_SILENCE_TIMEOUT_S) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
            tx = PostgresTransaction(connection)
            for statement in statements:
                tx.execute(statement)
            connection.commit()

    def close(self) -> None:
        """Give back all connections."""
        self._watch.close()
        self._pool.close()

    @contextmanager
    def _connection(
        self,
        silence_s: float,
        timeout_s: float | None = None,
        begin: LiteralString = "",
        *,
        is_watch: bool = False,
    ) -> Iterator[Connection]:
        with translated():
            # `connection()` would commit at the end: what is not committed on purpose is not.
            wait_s = self._wait_s if timeout_s is None else timeout_s
            connection = self._live_connection(wait_s, is_watch=is_watch)
            connection.silence_timeout_s = silence_s
            try:
                connection.begin(begin)
                yield connection
                self._watch.answered()
            except errors.ReadOnlySqlTransaction as error:
                self._look_elsewhere(connection.place)
                raise TakesNoWrites(f"{connection.place}: {first_line(error)}") from error
            finally:
                _roll_back(connection)
                if connection.closed:
                    self._watch.suspect()
                self._pool.putconn(connection)

    def _live_connection(self, timeout_s: float, *, is_watch: bool) -> Connection:
        """One that did not break while it was idle, which a restart does to all of them."""
        deadline = time.monotonic() + timeout_s
        while True:
            if not is_watch:
                self.must_answer()
            left_s = max(0.001, deadline - time.monotonic())
            try:
                connection = self._pool.getconn(min(left_s, AWAY_LOOK_S))
            except PoolTimeout as error:
                self._watch.suspect()
                if left_s > AWAY_LOOK_S:
                    continue
                raise self._away(first_line(error)) from error
            was_left = self._servers.was_left(connection.place)
            if not (connection.broke() or was_left):
                return connection
            connection.close()
            self._pool.putconn(connection)
            if not was_left:
                self._watch.suspect()

    def _away(self, why: str) -> OperationalError:
        servers = self._servers
        kind = TakesNoWrites if servers.takes_no_writes else OperationalError
        return kind(servers.why_not or why)

    def _look_elsewhere(self, place: str) -> None:
        """Where another server takes writes, go on there."""
        if not self._servers.are_several:
            return
        with suppress(psycopg.Error), self._class.connect() as connection:
            if connection.place != place:
                self._servers.leave(place)

    def _answers(self) -> bool:
        """Whether anybody could be answered: by a new connection, or by one that there is."""
        with suppress(psycopg.Error):
            self._class.connect(limit_s=WATCH_CONNECT_TIMEOUT_S).close()
            return True
        with (
            suppress(PersistenceError),
            self._connection(WATCH_TIMEOUT_S, WATCH_TIMEOUT_S, is_watch=True) as connection,
        ):
            connection.execute("SELECT 1")
            return True
        return False


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))  # 0 would mean for ever


def _roll_back(connection: Connection) -> None:
    try:
        connection.rollback()
    except psycopg.Error:
        connection.close()  # the pool replaces what is closed


@contextmanager
def translated() -> Iterator[None]:
    """Raise the library's exceptions instead of the driver's."""
    try:
        yield
    except psycopg.IntegrityError as error:
        raise IntegrityError(first_line(error)) from error
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected) as error:
        raise Contended(first_line(error)) from error
    except (errors.DiskFull, errors.OutOfMemory) as error:
        raise StorageFull(first_line(error)) from error
    except (
        errors.InsufficientPrivilege,
        errors.UndefinedTable,
        errors.UndefinedColumn,
        errors.UndefinedFunction,
        errors.WrongObjectType,  # a view in place of a table
        errors.DatatypeMismatch,
        errors.RaiseException,  # a trigger that somebody added
        errors.InternalError_,
        errors.DataCorrupted,
        errors.IndexCorrupted,
        errors.InvalidSchemaName,
        errors.InvalidCatalogName,
    ) as error:
        raise Unusable(first_line(error)) from error
    except (
        PoolTimeout,
        PoolClosed,
        psycopg.OperationalError,
        psycopg.InterfaceError,
        errors.IdleInTransactionSessionTimeout,
        errors.ReadOnlySqlTransaction,
    ) as error:
        raise OperationalError(first_line(error)) from error
    except psycopg.Error as error:
        raise PersistenceError(first_line(error)) from error
