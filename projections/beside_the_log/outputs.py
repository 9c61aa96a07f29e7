"""What remote steps said, beside the log: its digest is in the event of the outcome.

Kept in pieces as they came, each at its place in bytes from the start, and deleted after a while.
"""

from domain.log.transaction import EngineName, Transaction
from projections.tables import BYTES, TEXT


def schema(engine: EngineName) -> list[str]:
    """Statements that create it where it is not there."""
    text, content = TEXT[engine], BYTES[engine]
    return [
        f"""
        CREATE TABLE IF NOT EXISTS outputs (
            operation {text} NOT NULL,
            address {text} NOT NULL,
            place BIGINT NOT NULL,
            content {content} NOT NULL,
            at {text} NOT NULL,
            PRIMARY KEY (operation, address, place)
        )
        """,
        "CREATE INDEX IF NOT EXISTS outputs_by_time ON outputs (at)",
    ]


def add(tx: Transaction, operation: str, address: str, place: int, content: bytes, at: str) -> None:
    """Keep a piece, if it goes on where the others end: after a crash, or of another process, the
    same may come again."""
    sql = """
        SELECT place + LENGTH(content) FROM outputs WHERE operation = ? AND address = ?
        ORDER BY place DESC LIMIT 1
    """
    found = tx.execute(sql, (operation, address)).fetchone()
    if place != (found[0] if found else 0):
        return
    sql = "INSERT INTO outputs (operation, address, place, content, at) VALUES (?, ?, ?, ?, ?)"
    tx.execute(sql, (operation, address, place, content, at))


def output(tx: Transaction, operation: str, address: str, place: int = 0) -> bytes:
    """What is kept of a host's output in an operation, from where a piece begins."""
    sql = """
        SELECT content FROM outputs WHERE operation = ? AND address = ? AND place >= ?
        ORDER BY place
    """
    rows = tx.execute(sql, (operation, address, place)).fetchall()
    return b"".join(bytes(row[0]) for row in rows)


def purge(tx: Transaction, before: str) -> None:
    """Delete what is older than a time."""
    tx.execute("DELETE FROM outputs WHERE at < ?", (before,))
