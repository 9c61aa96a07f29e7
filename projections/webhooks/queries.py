"""What is asked of webhooks: their records, which is sent what, and who needs a person."""

from typing import Any, NamedTuple

import orjson

from domain.log.transaction import Transaction
from projections.beside_the_log import webhook_deliveries
from projections.beside_the_log.webhook_deliveries import Attempt, Cursor
from projections.webhooks.projection import WebhookRow

COLUMNS = "name, begun, asked_at, state, gave_up, record"
ALL = f"SELECT {COLUMNS} FROM webhooks ORDER BY name"  # noqa: S608 - a constant
ONE = f"SELECT {COLUMNS} FROM webhooks WHERE name = ?"  # noqa: S608 - a constant

# Any: a record, as JSON has it.
Record = dict[str, Any]

TROUBLE_FAILURES = 10
"""After so many failures in a row, some ten minutes, a webhook needs a person."""


class Known(NamedTuple):
    """A webhook, and how far it has come."""

    row: WebhookRow
    cursor: Cursor

    @property
    def terms(self) -> Record:
        """What is sent, and how."""
        found: Record = orjson.loads(self.row.record)
        return found

    def record(self) -> Record:
        """As GET answers it."""
        terms, cursor = self.terms, self.cursor
        failing = cursor.failures > 0
        status = "failing" if failing and self.row.state == "active" else self.row.state
        return {
            "name": self.row.name,
            **terms,
            "ca_path": terms["ca_path"] or None,
            "status": status,
            "position": cursor.position,
            "failures": cursor.failures,
            "failing_since": cursor.failing_since if failing else None,
            "reason": cursor.reason if failing else None,
        }


def known(tx: Transaction, name: str) -> Known | None:
    """One webhook."""
    found = tx.execute(ONE, (name,)).fetchone()
    return _known(tx, found) if found else None


def every(tx: Transaction) -> list[Known]:
    """All of them, by name."""
    return [_known(tx, row) for row in tx.execute(ALL).fetchall()]


def names(tx: Transaction) -> list[str]:
    """The names of all."""
    return [row[0] for row in tx.execute("SELECT name FROM webhooks ORDER BY name").fetchall()]


def count(tx: Transaction) -> int:
    """How many there are."""
    return int(tx.execute("SELECT count(*) FROM webhooks").fetchone()[0])


def deliveries(tx: Transaction, name: str) -> list[Attempt] | None:
    """The latest attempts of one, the newest first; None where there is no such webhook."""
    found = tx.execute("SELECT begun FROM webhooks WHERE name = ?", (name,)).fetchone()
    return webhook_deliveries.attempts(tx, name, found[0]) if found else None


def keep_test(tx: Transaction, name: str, test: Attempt) -> None:
    """Keep what came of a test, unless the webhook is gone by now."""
    found = tx.execute("SELECT begun FROM webhooks WHERE name = ?", (name,)).fetchone()
    if found is not None:
        webhook_deliveries.keep_test(tx, name, found[0], test)


def in_trouble(tx: Transaction) -> list[tuple[str, Cursor]]:
    """Those that have failed often in a row, and are not given up yet."""
    sql = "SELECT name, begun FROM webhooks WHERE state = 'active' ORDER BY name"
    found = [webhook_deliveries.cursor(tx, *row) for row in tx.execute(sql).fetchall()]
    return [(each.name, each) for each in found if each.failures >= TROUBLE_FAILURES]


def given_up(tx: Transaction) -> list[tuple[str, Record]]:
    """Those that were given up: the name, and what the event of it says."""
    sql = "SELECT name, gave_up FROM webhooks WHERE state = 'given_up' ORDER BY name"
    return [(name, orjson.loads(told)) for name, told in tx.execute(sql).fetchall()]


def _known(tx: Transaction, row: tuple[Any, ...]) -> Known:
    webhook = WebhookRow(*row)
    return Known(webhook, webhook_deliveries.cursor(tx, webhook.name, webhook.begun))
