"""Which operation a request with an `Idempotency-Key` has begun: kept for a day, beside the log.

Of a key and of a request there are only digests.
"""

from typing import NamedTuple

from domain.log.transaction import EngineName, Transaction
from projections.tables import TEXT


class Begun(NamedTuple):
    """What was begun with a key, and by which request."""

    operation: str
    request: str


def schema(engine: EngineName) -> list[str]:
    """Statements that create it where it is not there."""
    text = TEXT[engine]
    return [
        f"""
        CREATE TABLE IF NOT EXISTS idempotency_keys (
            id {text} PRIMARY KEY,
            request {text} NOT NULL,
            operation {text} NOT NULL,
            at {text} NOT NULL
        )
        """,
        "CREATE INDEX IF NOT EXISTS idempotency_keys_by_time ON idempotency_keys (at)",
    ]


def begun(tx: Transaction, key: str, since: str) -> Begun | None:
    """What was begun with this key after a time."""
    sql = "SELECT operation, request FROM idempotency_keys WHERE id = ? AND at > ?"
    found = tx.execute(sql, (key, since)).fetchone()
    return Begun(*found) if found else None


def keep(tx: Transaction, key: str, begun: Begun, at: str, since: str) -> None:
    """Remember what was begun with a key, and forget what is older than `since`."""
    tx.execute("DELETE FROM idempotency_keys WHERE at <= ?", (since,))
    sql = """
        INSERT INTO idempotency_keys (id, request, operation, at) VALUES (?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE
        SET request = excluded.request, operation = excluded.operation, at = excluded.at
    """
    tx.execute(sql, (key, begun.request, begun.operation, at))
