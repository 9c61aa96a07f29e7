"""Hashes of passwords, and digests of tokens and of the cookies of sessions: beside the log.

They are written in the transaction that appends the events about them, and are in no event. When a
session was used last is noted here as well, once in a while.
"""

from domain.log.transaction import EngineName, Transaction
from projections.tables import BYTES, TEXT

KEEP = """
    INSERT INTO account_hashes (subject, hash, used_at) VALUES (?, ?, ?)
    ON CONFLICT (subject) DO UPDATE SET hash = excluded.hash, used_at = excluded.used_at
"""


def schema(engine: EngineName) -> list[str]:
    """Statements that create the table where it is not there."""
    return [
        f"""
        CREATE TABLE IF NOT EXISTS account_hashes (
            subject {TEXT[engine]} PRIMARY KEY,
            hash {BYTES[engine]} NOT NULL,
            used_at {TEXT[engine]} NOT NULL
        )
        """
    ]


def keep(tx: Transaction, subject: str, hashed: bytes, at: str) -> None:
    """Keep a hash, in place of the one before."""
    tx.execute(KEEP, (subject, hashed, at))


def note_use(tx: Transaction, subject: str, at: str) -> None:
    """It was used at this time, of which there is no event."""
    sql = "UPDATE account_hashes SET used_at = ? WHERE subject = ? AND used_at < ?"
    tx.execute(sql, (at, subject, at))


def last_use(tx: Transaction, subject: str) -> str:
    """When it was used last, as far as that was noted; "" where nothing is kept."""
    sql = "SELECT used_at FROM account_hashes WHERE subject = ?"
    found = tx.execute(sql, (subject,)).fetchone()
    return str(found[0]) if found else ""


def destroy(tx: Transaction, subject: str) -> None:
    """Delete a subject's hash, if there is one."""
    tx.execute("DELETE FROM account_hashes WHERE subject = ?", (subject,))
