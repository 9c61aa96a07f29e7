"""When a failed host is looked at next, and which request the last look at it has answered.

No event: a host that fails as before is no news.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from domain.event import shifted
from domain.log.transaction import EngineName, Transaction
from projections.beside_the_log.heartbeats import EACH
from projections.tables import TEXT

KEPT_S = 7 * 24 * 3600.0
"""What is older is of a host that has not failed any more, or is gone."""


class Look(NamedTuple):
    """`request`: when the last check was asked for that a look has answered; "" where none was."""

    request: str
    next_check: str


def schema(engine: EngineName) -> list[str]:
    """Statements that create it where it is not there."""
    text = TEXT[engine]
    return [
        f"""
        CREATE TABLE IF NOT EXISTS host_looks (
            address {text} PRIMARY KEY,
            request {text} NOT NULL,
            next_check {text} NOT NULL
        )
        """,
        "CREATE INDEX IF NOT EXISTS host_looks_by_time ON host_looks (next_check)",
    ]


def keep(tx: Transaction, looks: Mapping[str, Look]) -> None:
    """Keep what is newer of these hosts."""
    sql = """
        INSERT INTO host_looks (address, request, next_check) VALUES (?, ?, ?)
        ON CONFLICT (address) DO UPDATE SET next_check = excluded.next_check, request =
        CASE WHEN excluded.request = '' THEN host_looks.request ELSE excluded.request END
    """
    tx.execute_each(sql, [(address, *look) for address, look in looks.items()])
    newest = max(look.next_check for look in looks.values())
    tx.execute("DELETE FROM host_looks WHERE next_check < ?", (shifted(newest, -KEPT_S),))


UNANSWERED = """
    SELECT 1 FROM {each}(CAST(? AS {json})) AS asked
    JOIN fleet_hosts h ON h.address = asked.key AND h.status = 'failed'
    LEFT JOIN host_looks l ON l.address = asked.key
    WHERE coalesce(l.request, '') <> asked.value LIMIT 1
"""


def is_unanswered(tx: Transaction, asked: Mapping[str, str]) -> bool:
    """Whether any of these hosts is as failed as before, and its check was not done yet.

    `asked`: when the check of each was asked for.
    """
    sql = UNANSWERED.format(**EACH[tx.engine])
    return tx.execute(sql, (orjson.dumps(asked).decode(),)).fetchone() is not None
