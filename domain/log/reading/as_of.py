"""The log as of a moment: how far it had come, and what of it matters to a question."""

from collections.abc import Mapping, Sequence

import orjson

from domain.aggregates.log_history import NAME, ClockSetBack, LogHistory
from domain.log import recorder
from domain.log.engine import EMPTY, Head
from domain.log.recorder import Entry, entry_of
from domain.log.transaction import EngineName, Transaction

CHUNK_EVENTS = 1000
"""How many events are read at once: between two reads others get their turn."""

# Positions are halved: `recorded_at` never decreases from one to the next, between two entries that
# say that the clock was set back. A position that is not there (gaps are normal in PostgreSQL)
# stands for the last one before it.
BISECT = """
    WITH RECURSIVE bisect (low, step) AS (
        SELECT CAST(? AS BIGINT), CAST(? AS BIGINT)
        UNION ALL
        SELECT
            CASE WHEN low + step <= CAST(? AS BIGINT) AND coalesce(
                (SELECT recorded_at FROM stored_events WHERE position <= low + step
                 ORDER BY position DESC LIMIT 1), '') {operator} ?
            THEN low + step ELSE low END,
            step / 2
        FROM bisect WHERE step > 0
    )
    SELECT position, recorded_at FROM stored_events
    WHERE position <= (SELECT low FROM bisect WHERE step = 0) ORDER BY position DESC LIMIT 1
"""
SET_BACK = f"""
    SELECT position FROM stored_events
    WHERE originator_id = '{LogHistory.KIND}/{NAME}' AND topic = '{ClockSetBack.TOPIC}'
"""  # noqa: S608 - constants of ours
BEGUN_BY = SET_BACK + " AND recorded_at {operator} ? ORDER BY position DESC LIMIT 1"
BEGUN_AFTER = SET_BACK + " AND position > ? ORDER BY position LIMIT 1"
AT = """
    SELECT position, recorded_at FROM stored_events WHERE position <= ?
    ORDER BY position DESC LIMIT 1
"""
COLUMNS = "position, recorded_at, originator_id, originator_version, topic, state"
STREAM = f"""
    SELECT {COLUMNS} FROM stored_events
    WHERE originator_id = ? AND originator_version > ? AND position <= ?
    ORDER BY originator_version LIMIT {CHUNK_EVENTS}
"""  # noqa: S608 - constants of ours
LOG = """
    SELECT {columns} FROM stored_events
    WHERE position > ? AND position <= ? AND topic NOT IN ({marks})
    ORDER BY position LIMIT {limit}
"""
LAST_OF_EACH = """
    SELECT {columns} FROM stored_events WHERE position IN (
        SELECT max(position) FROM stored_events
        JOIN {each}(CAST(? AS {json})) AS since ON originator_id = since.key
        WHERE topic IN ({marks}) AND position > CAST(since.value AS BIGINT) AND position <= ?
        GROUP BY originator_id
    ) ORDER BY position
"""
EACH: dict[EngineName, dict[str, str]] = {
    "sqlite": {"each": "json_each", "json": "TEXT"},
    "postgresql": {"each": "json_each_text", "json": "JSON"},
}


def by(tx: Transaction, moment: str, *, before: bool = False) -> Head:
    """The last entry that was recorded by then, or `before` it; `moment` in `TIME_FORMAT`.

    What a clock that was ahead stamped with later times, and stands before it, counts as before:
    so a later moment never gives an earlier entry. As many point reads as the position has bits,
    in one statement.
    """
    head = recorder.head(tx)
    if head.recorded_at < moment or (head.recorded_at == moment and not before):
        return head
    operator = "<" if before else "<="
    (begin,) = tx.execute(BEGUN_BY.format(operator=operator), (moment,)).fetchone() or (0,)
    (next_begin,) = tx.execute(BEGUN_AFTER, (begin,)).fetchone() or (head.position + 1,)
    step = 1 << (next_begin - begin).bit_length()
    params = (begin, step, next_begin - 1, moment)
    return Head(*(tx.execute(BISECT.format(operator=operator), params).fetchone() or EMPTY))


def at(tx: Transaction, position: int) -> Head:
    """The entry at a position, or the last one before it."""
    return Head(*(tx.execute(AT, (position,)).fetchone() or EMPTY))


def stream(tx: Transaction, originator_id: str, version: int, up_to: int) -> list[Entry]:
    """The next entries of one aggregate after a version, up to a position, in order."""
    return [entry_of(row) for row in tx.execute(STREAM, (originator_id, version, up_to)).fetchall()]


def log(tx: Transaction, after: int, up_to: int, but: Sequence[str]) -> list[Entry]:
    """The next entries of the whole log after a position, in order, but of some topics."""
    sql = LOG.format(columns=COLUMNS, marks=_marks(but), limit=CHUNK_EVENTS)
    return [entry_of(row) for row in tx.execute(sql, (after, up_to, *but)).fetchall()]


def last_of_each(
    tx: Transaction, since: Mapping[str, int], up_to: int, topics: Sequence[str]
) -> list[Entry]:
    """The last entry of each aggregate that is of one of the topics, and after its position."""
    sql = LAST_OF_EACH.format(columns=COLUMNS, marks=_marks(topics), **EACH[tx.engine])
    params = (orjson.dumps(since).decode(), *topics, up_to)
    return [entry_of(row) for row in tx.execute(sql, params).fetchall()]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
