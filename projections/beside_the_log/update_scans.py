"""When a host last told how many updates wait: no event, for mostly there are as many as before."""

from domain.log.transaction import EngineName, Transaction
from projections.tables import TEXT


def schema(engine: EngineName) -> list[str]:
    """Statements that create it where it is not there."""
    text = TEXT[engine]
    return [
        f"""
        CREATE TABLE IF NOT EXISTS update_scans (
            address {text} PRIMARY KEY,
            at {text} NOT NULL
        )
        """
    ]


def keep(tx: Transaction, address: str, at: str) -> None:
    """It has told at this time how many wait."""
    sql = """
        INSERT INTO update_scans (address, at) VALUES (?, ?)
        ON CONFLICT (address) DO UPDATE SET at = excluded.at
    """
    tx.execute(sql, (address, at))


def scanned(tx: Transaction) -> list[tuple[str, str]]:
    """Each host that is set up, and when it last told; "" where it never did."""
    sql = """
        SELECT h.address, CASE WHEN h.updates = '' THEN '' ELSE coalesce(s.at, '') END
        FROM fleet_hosts h LEFT JOIN update_scans s ON s.address = h.address
        WHERE h.status IN ('active', 'disassociated')
    """
    return [(row[0], row[1]) for row in tx.execute(sql).fetchall()]
