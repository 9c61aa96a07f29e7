"""A connection to PostgreSQL: how long it waits for the server, and how it gives up."""

import select
import threading
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import IsolationLevel, generators, waiting
from psycopg.abc import PQGen
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus

from domain.log.transaction import Server

STATEMENT_TIMEOUT_S = 60
SILENCE_TIMEOUT_S = 5.0
"""How long the server may take to say what came of a statement; it can be frozen, or the network
may swallow everything, and no limit of TCP or of the server's own ends that."""
IDLE_IN_TRANSACTION_TIMEOUT_S = 30
"""After which the server ends the transaction, and gives up the lock, of a process that is gone."""
KEEPALIVE_IDLE_S = 10
KEEPALIVE_INTERVAL_S = 5
KEEPALIVES_UNANSWERED_MAX = 3
ANSWER_TIMEOUT_S = 25
"""How long what was sent may stay unacknowledged by the server's machine (TCP_USER_TIMEOUT)."""
POLL_S = 0.1
"""How often a wait for the server looks at the clock and at signals."""
CANCEL_TIMEOUT_S = 3.0
"""How long a server has to take a request to cancel."""
CANCELS_MAX = 8
"""So many requests to cancel may be on their way at once; a frozen server answers none."""
TIMELINE_DIGITS = 8
"""Of the name of a WAL file."""

NETWORK: dict[str, str | int] = {
    "application_name": "commissaire",
    "keepalives_idle": KEEPALIVE_IDLE_S,
    "keepalives_interval": KEEPALIVE_INTERVAL_S,
    "keepalives_count": KEEPALIVES_UNANSWERED_MAX,
    "tcp_user_timeout": ANSWER_TIMEOUT_S * 1000,
}
WAS_NOT_REPLICATED = ("01000", "57P01")
"""Of the warning with which a commit ends that did not wait for its standby any longer, because it
was cancelled, or the server was shut down. It has no other."""
IDENTITY = """
    SELECT (SELECT system_identifier FROM pg_control_system()),
        CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END
"""
# Not `set_config()`: a query would take the snapshot of what is read, before anybody asked.
LIMITS = (
    f"SET {{scope}} statement_timeout = '{STATEMENT_TIMEOUT_S}s';"
    f" SET {{scope}} idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_TIMEOUT_S}s'"
)
OF_SESSION, OF_TRANSACTION = (LIMITS.format(scope=s).encode() for s in ("SESSION", "LOCAL"))

T = TypeVar("T")

_cancels = threading.BoundedSemaphore(CANCELS_MAX)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is given up where the server is silent for too long."""

    silence_timeout_s = SILENCE_TIMEOUT_S
    is_pooled = False
    """Whether a pooler (PgBouncer) stands before the server: the next transaction may be another's
    session, so nothing is left in one."""
    was_not_replicated = False
    """Whether there was a warning since this was reset: of a commit, that it did not wait for its
    standby to the end."""
    place = ""
    """Host and port, as the URL names them."""
    server: Server | None = None
    """Where it goes; not known of a standby, and behind a pooler."""

    def introduce(self) -> None:
        """Learn whom it is connected to, and set what holds for the whole session."""
        self.add_notice_handler(self._notice)
        self.autocommit = True
        found = self.execute("SELECT pg_backend_pid()").fetchone()
        self.is_pooled = found is None or found[0] != self.pgconn.backend_pid
        if self.is_pooled:
            self.prepare_threshold = None
        else:
            self.execute(OF_SESSION)
            self.server = self.identity()
        self.autocommit = False
        # What is read after the append lock was taken must be as of then.
        self.isolation_level = IsolationLevel.READ_COMMITTED

    def begin(self, how: LiteralString) -> None:
        """Begin a transaction, and set for it what holds for a session that is our own."""
        if how:
            self.execute(how)
        if self.is_pooled:
            self.execute(OF_TRANSACTION)

    def identity(self) -> Server | None:
        """Which server it is; None where it is a standby."""
        system, wal_file = self.execute(IDENTITY).fetchone() or (0, "")
        return Server(int(system), int(wal_file[:TIMELINE_DIGITS], 16)) if wal_file else None

    def wait(self, gen: PQGen[T], interval: float = POLL_S, timeout: float | None = None) -> T:
        """Every wait for the server comes by here; raises `psycopg.OperationalError`."""
        try:
            return super().wait(
                gen, interval, self.silence_timeout_s if timeout is None else timeout
            )
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._cancel()
                self.pgconn.finish()  # a late answer would be taken for the next statement's
            raise

    def broke(self) -> bool:
        """Whether it ended while it was idle: nobody listens on it, and that is all it can say."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _notice(self, told: Diagnostic) -> None:
        if told.sqlstate in WAS_NOT_REPLICATED:
            self.was_not_replicated = True

    def _cancel(self) -> None:
        """Have the server end what nobody waits for any more.

        A commit that waits for a standby would keep its connection, and the append lock, for as
        long as the standby is away.
        """
        if not _cancels.acquire(blocking=False):
            return
        try:
            cancelling = self.pgconn.cancel_conn()
        except psycopg.Error:
            _cancels.release()
            return

        def cancel() -> None:
            # Not `blocking()`: it keeps the interpreter, and everybody in it, until it ends.
            try:
                cancelling.start()
                waiting.wait_conn(generators.cancel(cancelling), POLL_S, CANCEL_TIMEOUT_S)
            except psycopg.Error:
                pass  # the server is away altogether
            finally:
                cancelling.finish()
                _cancels.release()

        threading.Thread(target=cancel, name="cancel", daemon=True).start()
