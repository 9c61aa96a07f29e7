"""When a host answered last, though nothing had changed."""

from collections.abc import Callable, Mapping

import orjson

from domain.aggregates.host_checks import CLOCK_AHEAD_S
from domain.event import shifted
from domain.log.transaction import EngineName, Transaction
from projections.tables import TEXT


def heartbeats_schema(engine: EngineName) -> str:
    """The times of checks that found nothing new. No event, and so in no digest."""
    text = TEXT[engine]
    return f"""
        CREATE TABLE IF NOT EXISTS heartbeats (
            address {text} PRIMARY KEY,
            last_check {text} NOT NULL
        )
    """


BEAT = """
    INSERT INTO heartbeats (address, last_check)
    SELECT h.address, seen.value FROM {each}(CAST(? AS {json})) AS seen
    JOIN hosts h ON h.address = seen.key
    WHERE true
    ON CONFLICT (address) DO UPDATE SET last_check = excluded.last_check
    WHERE excluded.last_check > heartbeats.last_check OR heartbeats.last_check > ?
"""
EACH = {
    "sqlite": {"each": "json_each", "json": "TEXT"},
    "postgresql": {"each": "json_each_text", "json": "JSON"},
}


def beat(tx: Transaction, seen: Mapping[str, str], *, now: Callable[[], str]) -> None:
    """Keep when these hosts answered last; those that are gone meanwhile are passed over.

    What is older than what is kept comes from a process that was held up: another knows better.
    """
    ahead = shifted(max(now(), *seen.values()), CLOCK_AHEAD_S)
    tx.execute(BEAT.format(**EACH[tx.engine]), (orjson.dumps(seen).decode(), ahead))


def forget_heartbeat(tx: Transaction, address: str) -> None:
    """Of a host that is gone."""
    tx.execute("DELETE FROM heartbeats WHERE address = ?", (address,))
