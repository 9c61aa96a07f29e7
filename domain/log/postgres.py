"""PostgreSQL: several processes share one log; a table lock makes commit order position order."""

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from domain.log.engine import (
    EMPTY,
    CommitUnknown,
    Contended,
    Head,
    IntegrityError,
    OperationalError,
    PersistenceError,
    StorageFull,
)
from domain.log.schema import HEAD
from domain.log.transaction import EngineName, PostgresTransaction, Transaction

CONNECTIONS_MAX = 8
CONNECT_TIMEOUT_S = 5
POOL_WAIT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 60
SILENCE_TIMEOUT_S = 5.0
"""How long the server may take to say what came of a statement; it can be frozen, or the network
may swallow everything, and no limit of TCP or of the server's own ends that."""
SILENCE_TIMEOUT_MIN_S = 1.0
READ_SILENCE_TIMEOUT_S = 10.0
SCHEMA_SILENCE_TIMEOUT_S = STATEMENT_TIMEOUT_S + SILENCE_TIMEOUT_S
IDLE_IN_TRANSACTION_TIMEOUT_S = 30
"""After which the server ends the transaction, and gives up the lock, of a process that is gone."""
KEEPALIVE_IDLE_S = 10
KEEPALIVE_INTERVAL_S = 5
KEEPALIVES_UNANSWERED_MAX = 3
ANSWER_TIMEOUT_S = 25
"""How long what was sent may stay unacknowledged by the server's machine (TCP_USER_TIMEOUT)."""
POLL_S = 0.1
"""How often a wait for the server looks at the clock and at signals."""
RECONNECT_TIMEOUT_S = 2.0
"""After which the pool starts anew: its pauses double, and a server that is back must not wait."""
IDLE_WITH_LOCK_TIMEOUT_S = 5
"""The same for one that holds the append lock: everybody else waits for it."""
APPEND_SETTINGS = f"""
    SELECT set_config('lock_timeout', %s, true),
        set_config('idle_in_transaction_session_timeout', '{IDLE_WITH_LOCK_TIMEOUT_S}s', true),
        set_config('synchronous_commit', CASE setting WHEN 'off' THEN 'on' ELSE setting END, true)
    FROM current_setting('synchronous_commit') AS setting
"""  # noqa: S608 - a number of ours
"""Of one transaction: what was answered survives a loss of power, however the server is set."""
SCHEMA_LOCK = 0x636F6D6D  # "comm": one process at a time creates tables

T = TypeVar("T")


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is given up where the server is silent for too long."""

    silence_timeout_s = SILENCE_TIMEOUT_S

    def wait(self, gen: PQGen[T], interval: float = POLL_S, timeout: float | None = None) -> T:
        """Every wait for the server comes by here; raises `psycopg.OperationalError`."""
        try:
            return super().wait(
                gen, interval, self.silence_timeout_s if timeout is None else timeout
            )
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # a late answer would be taken for the next statement's
            raise


class PostgresWriting:
    """A transaction that writes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.tx = PostgresTransaction(connection)

    def commit(self) -> None:
        """Make it durable."""
        try:
            self._connection.commit()
        except (errors.DiskFull, errors.OutOfMemory):
            raise  # the server says itself that it did not happen
        except psycopg.OperationalError as error:
            raise CommitUnknown(str(error)) from error


class PostgresAppending(PostgresWriting):
    """One that holds the log's EXCLUSIVE lock: others read, and wait to append."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.head = Head(*(self.tx.execute(HEAD).fetchone() or EMPTY))


class PostgresEngine:
    """One database, reached through a pool of connections."""

    name: EngineName = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            connection_class=Connection,
            kwargs={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "commissaire",
                "keepalives_idle": KEEPALIVE_IDLE_S,
                "keepalives_interval": KEEPALIVE_INTERVAL_S,
                "keepalives_count": KEEPALIVES_UNANSWERED_MAX,
                "tcp_user_timeout": ANSWER_TIMEOUT_S * 1000,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000}"
                f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_S * 1000}"
                # What is read after the append lock was taken must be as of then.
                " -c default_transaction_isolation=read\\ committed",
            },
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=POOL_WAIT_TIMEOUT_S,
            reconnect_timeout=RECONNECT_TIMEOUT_S,
            open=False,
        )
        self._pool.open()

    @contextmanager
    def append(self, lock_timeout_s: float) -> Iterator[PostgresAppending]:
        """Take the append lock, or raise `Contended`."""
        silence_s = max(min(lock_timeout_s, SILENCE_TIMEOUT_S), SILENCE_TIMEOUT_MIN_S)
        with self._connection(silence_s, min(lock_timeout_s, POOL_WAIT_TIMEOUT_S)) as connection:
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
        with self._connection(READ_SILENCE_TIMEOUT_S) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield PostgresTransaction(connection)
            connection.rollback()

    def scrub(self) -> None:
        """Let VACUUM take the dead rows of the vault out of its pages."""
        with self._connection(SCHEMA_SILENCE_TIMEOUT_S) as connection:
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
        self._pool.close()

    @contextmanager
    def _connection(
        self, silence_s: float, timeout_s: float = POOL_WAIT_TIMEOUT_S
    ) -> Iterator[Connection]:
        with translated():
            # `connection()` would commit at the end: what is not committed on purpose is not.
            connection = self._live_connection(timeout_s)
            connection.silence_timeout_s = silence_s
            try:
                yield connection
            finally:
                _roll_back(connection)
                self._pool.putconn(connection)

    def _live_connection(self, timeout_s: float) -> Connection:
        """One that did not break while it was idle, which a restart does to all of them."""
        deadline = time.monotonic() + timeout_s
        while True:
            connection = self._pool.getconn(max(0.001, deadline - time.monotonic()))
            if not _broke(connection):
                return connection
            connection.close()
            self._pool.putconn(connection)


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))  # 0 would mean for ever


def _broke(connection: Connection) -> bool:
    # Nobody listens on it: what an idle connection has to say is that it ends.
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


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
        raise IntegrityError(_first_line(error)) from error
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected) as error:
        raise Contended(_first_line(error)) from error
    except (errors.DiskFull, errors.OutOfMemory) as error:
        raise StorageFull(_first_line(error)) from error
    except (
        PoolTimeout,
        PoolClosed,
        psycopg.OperationalError,
        psycopg.InterfaceError,
        errors.IdleInTransactionSessionTimeout,
        errors.ReadOnlySqlTransaction,  # a standby, or a primary that just became one
    ) as error:
        raise OperationalError(_first_line(error)) from error
    except psycopg.Error as error:
        raise PersistenceError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
