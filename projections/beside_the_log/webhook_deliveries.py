"""How far each webhook has come, and its latest attempts to deliver. No events."""

from typing import NamedTuple

from domain.log.transaction import EngineName, Transaction
from projections.tables import TEXT

KEPT_MAX = 100
"""So many of the latest attempts of a webhook are kept."""
TESTS_KEPT_MAX = 20
"""So many of its latest tests are kept beside them, in slots of their own below 0: whoever sends
events counts those alone, and may be another process."""

COLUMNS = "name, begun, position, attempts, failures, failing_since, reason"


class Cursor(NamedTuple):
    """How far a webhook has come, since it was created at position `begun`."""

    name: str
    begun: int
    position: int
    """All up to here was delivered, or is not for it."""
    attempts: int = 0
    """How many there were, delivered or not."""
    failures: int = 0
    """How many failed in a row, of the event that is next."""
    failing_since: str = ""
    reason: str = ""

    def well(self, position: int) -> "Cursor":
        """It has come to this position, and nothing fails."""
        return self._replace(position=position, failures=0, failing_since="", reason="")


class Attempt(NamedTuple):
    """One attempt to deliver. `status` is that of the answer, 0 where there was none."""

    at: str
    position: int
    type: str
    subject: str
    status: int
    took_ms: int
    reason: str
    """Why it failed, a sentence for people; "" where it was delivered."""


def schema(engine: EngineName) -> list[str]:
    """Statements that create them where they are not there."""
    text = TEXT[engine]
    return [
        f"""
        CREATE TABLE IF NOT EXISTS webhook_cursors (
            name {text} PRIMARY KEY,
            begun BIGINT NOT NULL,
            position BIGINT NOT NULL,
            attempts BIGINT NOT NULL,
            failures BIGINT NOT NULL,
            failing_since {text} NOT NULL,
            reason {text} NOT NULL
        )
        """,
        f"""
        CREATE TABLE IF NOT EXISTS webhook_deliveries (
            name {text} NOT NULL,
            slot BIGINT NOT NULL,
            begun BIGINT NOT NULL,
            number BIGINT NOT NULL,
            at {text} NOT NULL,
            position BIGINT NOT NULL,
            type {text} NOT NULL,
            subject {text} NOT NULL,
            status BIGINT NOT NULL,
            took_ms BIGINT NOT NULL,
            reason {text} NOT NULL,
            PRIMARY KEY (name, slot)
        )
        """,
    ]


def cursor(tx: Transaction, name: str, begun: int) -> Cursor:
    """How far it has come; where it began, before the first attempt."""
    sql = f"SELECT {COLUMNS} FROM webhook_cursors WHERE name = ? AND begun = ?"  # noqa: S608 - a constant
    found = tx.execute(sql, (name, begun)).fetchone()
    return Cursor(*found) if found else Cursor(name, begun, begun - 1)


MOVE = f"""
    INSERT INTO webhook_cursors ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET begun = excluded.begun, position = excluded.position,
    attempts = excluded.attempts, failures = excluded.failures,
    failing_since = excluded.failing_since, reason = excluded.reason
    WHERE excluded.begun > webhook_cursors.begun OR (
        excluded.begun = webhook_cursors.begun AND excluded.position >= webhook_cursors.position
    )
"""  # noqa: S608 - a constant
"""Never back, and not by a process that was held up while the webhook was made anew."""
KEEP = """
    INSERT INTO webhook_deliveries
    (name, slot, begun, number, at, position, type, subject, status, took_ms, reason)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name, slot) DO UPDATE SET begun = excluded.begun, number = excluded.number,
    at = excluded.at, position = excluded.position, type = excluded.type,
    subject = excluded.subject, status = excluded.status, took_ms = excluded.took_ms,
    reason = excluded.reason
    WHERE excluded.begun >= webhook_deliveries.begun
"""


def move(tx: Transaction, to: Cursor, attempt: Attempt | None = None) -> None:
    """Keep how far it has come, and the attempt that got it there, or did not."""
    tx.execute(MOVE, to)
    if attempt is not None:
        place = (to.name, to.attempts % KEPT_MAX, to.begun, to.attempts)
        tx.execute(KEEP, (*place, *attempt))


def keep_test(tx: Transaction, name: str, begun: int, attempt: Attempt) -> None:
    """Keep a test, after the last attempt of before."""
    sql = """
        SELECT slot FROM webhook_deliveries
        WHERE name = ? AND slot < 0 ORDER BY begun, number, at, slot DESC
    """
    slots = [row[0] for row in tx.execute(sql, (name,)).fetchall()]
    slot = slots[0] if len(slots) >= TESTS_KEPT_MAX else -1 - len(slots)
    number = cursor(tx, name, begun).attempts
    tx.execute(KEEP, (name, slot, begun, number, *attempt))


def attempts(tx: Transaction, name: str, begun: int) -> list[Attempt]:
    """The latest attempts and tests, the newest first."""
    sql = """
        SELECT at, position, type, subject, status, took_ms, reason FROM webhook_deliveries
        WHERE name = ? AND begun = ? ORDER BY number DESC, slot >= 0, at DESC
    """
    return [Attempt(*row) for row in tx.execute(sql, (name, begun)).fetchall()]


def forget(tx: Transaction, name: str) -> None:
    """Of a webhook that is gone."""
    tx.execute("DELETE FROM webhook_cursors WHERE name = ?", (name,))
    tx.execute("DELETE FROM webhook_deliveries WHERE name = ?", (name,))
