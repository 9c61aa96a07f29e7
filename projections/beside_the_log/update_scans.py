"""When a host last told how many updates wait: no event, for mostly there are as many as before.

Nor is it one that it could not tell: it says nothing of the host, and may be so every hour.
"""

from typing import Literal, NamedTuple

from domain.aggregates.host_events import FailureKind
from domain.log.transaction import EngineName, Transaction
from projections.tables import TEXT

ScanFailureKind = FailureKind | Literal["command", "late", "unsupported"]
"""Its commands failed, it took too long, its system is none that can be asked; or as hosts fail."""


class FailedScan(NamedTuple):
    """Why a host has not told how many updates wait, in a sentence."""

    kind: ScanFailureKind
    reason: str


def schema(engine: EngineName) -> list[str]:
    """Statements that create it where it is not there."""
    text = TEXT[engine]
    return [
        f"""
        CREATE TABLE IF NOT EXISTS update_scans (
            address {text} PRIMARY KEY,
            at {text} NOT NULL
        )
        """,
        f"""
        CREATE TABLE IF NOT EXISTS failed_update_scans (
            address {text} PRIMARY KEY,
            kind {text} NOT NULL,
            reason {text} NOT NULL,
            at {text} NOT NULL
        )
        """,
    ]


def keep(tx: Transaction, address: str, at: str) -> None:
    """It has told at this time how many wait."""
    sql = """
        INSERT INTO update_scans (address, at) VALUES (?, ?)
        ON CONFLICT (address) DO UPDATE SET at = excluded.at
    """
    tx.execute(sql, (address, at))
    tx.execute("DELETE FROM failed_update_scans WHERE address = ?", (address,))


def fail(tx: Transaction, address: str, failed: FailedScan, at: str) -> None:
    """It was asked, and has told nothing; what it told before stays."""
    sql = """
        INSERT INTO failed_update_scans (address, kind, reason, at) VALUES (?, ?, ?, ?)
        ON CONFLICT (address) DO UPDATE
        SET kind = excluded.kind, reason = excluded.reason, at = excluded.at
    """
    tx.execute(sql, (address, *failed, at))


def forget(tx: Transaction, address: str) -> None:
    """Of a host that is gone."""
    for table in ("update_scans", "failed_update_scans"):
        tx.execute(f"DELETE FROM {table} WHERE address = ?", (address,))  # noqa: S608 - our own names


def scanned(tx: Transaction) -> list[tuple[str, str]]:
    """Each host that is set up, and when it last told; "" where it never did."""
    sql = """
        SELECT h.address, CASE WHEN h.updates = '' THEN '' ELSE coalesce(s.at, '') END
        FROM fleet_hosts h LEFT JOIN update_scans s ON s.address = h.address
        WHERE h.status IN ('active', 'disassociated')
    """
    return [(row[0], row[1]) for row in tx.execute(sql).fetchall()]
