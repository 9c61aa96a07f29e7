"""Hashes of passwords, and digests of tokens and of the cookies of sessions: beside the log.

They are written in the transaction that appends the events about them, and are in no event.
"""

from domain.log.transaction import EngineName, Transaction
from projections.tables import BYTES, TEXT

KEEP = """
    INSERT INTO account_hashes (subject, hash) VALUES (?, ?)
    ON CONFLICT (subject) DO UPDATE SET hash = excluded.hash
"""


def schema(engine: EngineName) -> list[str]:
    """Statements that create the table where it is not there."""
    return [
        f"""
        CREATE TABLE IF NOT EXISTS account_hashes (
            subject {TEXT[engine]} PRIMARY KEY,
            hash {BYTES[engine]} NOT NULL
        )
        """
    ]


def keep(tx: Transaction, subject: str, hashed: bytes) -> None:
    """Keep a hash, in place of the one before."""
    tx.execute(KEEP, (subject, hashed))


def destroy(tx: Transaction, subject: str) -> None:
    """Delete a subject's hash, if there is one."""
    tx.execute("DELETE FROM account_hashes WHERE subject = ?", (subject,))
