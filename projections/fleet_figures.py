"""How far the log goes, how far the read models have come, and what there is, for whoever watches.

Every query here is cheap however long the log is, but for the first `log_size`, which is asked
piece by piece.
"""

from typing import NamedTuple

from domain.log import recorder
from domain.log.transaction import Transaction

LOG_SIZE_POSITIONS = 50_000
"""How far one question for the size of the log goes: a long read would be in others' way."""

HOSTS = "SELECT status, count(*) FROM hosts GROUP BY status"
CLUSTERS = """
    SELECT CASE WHEN available = total THEN 'ok' WHEN available = 0 THEN 'failed'
           ELSE 'degraded' END AS status, count(*)
    FROM clusters GROUP BY 1
"""
OPERATIONS = "SELECT kind, status, count(*) FROM operations GROUP BY kind, status"
OPERATION_HOSTS = """
    SELECT outcome, count(*) FROM operation_hosts
    WHERE operation IN (SELECT id FROM operations WHERE is_over = 0) GROUP BY outcome
"""
POSITIONS = "SELECT name, position FROM projection_positions"
LOG_SIZE = """
    SELECT count(*), coalesce(sum(length(state)), 0)
    FROM stored_events WHERE position > ? AND position <= ?
"""
DATABASE_BYTES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    "postgresql": "SELECT pg_database_size(current_database())",
}


class FleetFigures(NamedTuple):
    """The figures of the fleet at one moment."""

    head: int
    """The newest position of the log."""
    positions: dict[str, int]
    """How far each projection has come, by its name."""
    hosts: dict[str, int]
    """How many hosts have a status."""
    clusters: dict[str, int]
    """How many clusters have a status."""
    operations: dict[tuple[str, str], int]
    """How many operations of a kind have a status."""
    operation_hosts: dict[str, int]
    """Of the operations that are not over: how many of their hosts have an outcome."""
    database_bytes: int
    """The whole database, without SQLite's WAL."""


class LogSize(NamedTuple):
    """How much is in the log up to a position."""

    position: int = 0
    events: int = 0
    bytes: int = 0
    """Of what the events say, without keys and indexes."""


def fleet_figures(tx: Transaction) -> FleetFigures:
    """All figures of the fleet."""
    return FleetFigures(
        recorder.head(tx).position,
        dict(tx.execute(POSITIONS).fetchall()),
        dict(tx.execute(HOSTS).fetchall()),
        dict(tx.execute(CLUSTERS).fetchall()),
        {(kind, status): count for kind, status, count in tx.execute(OPERATIONS).fetchall()},
        dict(tx.execute(OPERATION_HOSTS).fetchall()),
        int(tx.execute(DATABASE_BYTES[tx.engine]).fetchone()[0]),
    )


def log_size(tx: Transaction, before: LogSize) -> LogSize:
    """The size, from what it was; ask again until the position is the head's."""
    end = min(before.position + LOG_SIZE_POSITIONS, recorder.head(tx).position)
    events, size = tx.execute(LOG_SIZE, (before.position, end)).fetchone()
    return LogSize(end, before.events + int(events), before.bytes + int(size))
