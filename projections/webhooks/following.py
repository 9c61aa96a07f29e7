"""Which event of the log is next for a webhook: bounded by what is looked at, whatever it finds."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from domain.aggregates import operation_events as operations
from domain.event import Event
from domain.log import recorder
from domain.log.reading.as_of import COLUMNS
from domain.log.recorder import Entry, entry_of
from domain.log.transaction import Transaction

EXAMINED_MAX = 20_000
"""How many positions one question goes on, at most."""
NAMED_MAX = 100
"""So many hosts are named when an operation has ended."""
ROUTINE = (
    operations.HostStarted.TOPIC,
    operations.StepSent.TOPIC,
    operations.StepDone.TOPIC,
    operations.RebootRequested.TOPIC,
    operations.HostDone.TOPIC,
)
"""What summaries leave out: what goes well on each host."""
WAITS = operations.StepWaits.TOPIC
"""Of this they tell the first of each operation."""

NEXT = """
    SELECT {columns} FROM stored_events AS told
    WHERE position > ? AND position <= ? {more} ORDER BY position LIMIT 1
"""
IS_NO_REPEAT = """
    (topic <> ? OR NOT EXISTS (
        SELECT 1 FROM stored_events AS earlier WHERE earlier.originator_id = told.originator_id
        AND earlier.originator_version < told.originator_version AND earlier.topic = told.topic
    ))
"""


class Wanted(NamedTuple):
    """Which events: of all types and subjects where none is named."""

    types: tuple[str, ...] = ()
    """`host.*` is every type of that kind."""
    subjects: tuple[str, ...] = ()
    summaries: bool = False

    def takes(self, event: Event) -> bool:
        """Whether an event may be for it: what is read from the log then decides."""
        kind = f"{event.TOPIC.partition('.')[0]}.*"
        return (not self.types or event.TOPIC in self.types or kind in self.types) and (
            not self.subjects or event.originator_id in self.subjects
        )


class Found(NamedTuple):
    """The next event, if there is one; all up to `reached` was looked at."""

    entry: Entry | None
    reached: int
    more: bool
    """Whether the log goes on beyond it."""
    summary: dict[str, Any] | None = None
    """Where an operation has ended: how many hosts of each outcome, and who failed."""


def following(tx: Transaction, wanted: Wanted, after: int) -> Found:
    """The next event after a position that is wanted."""
    head = recorder.head(tx).position
    end = min(head, after + EXAMINED_MAX)
    conditions, values = _conditions(wanted)
    sql = NEXT.format(columns=COLUMNS, more="".join(f" AND {each}" for each in conditions))
    row = tx.execute(sql, (after, end, *values)).fetchone()
    if row is None:
        return Found(None, max(after, end), head > end)
    entry = entry_of(row)
    summary = None
    if wanted.summaries and entry.stored.topic == operations.Ended.TOPIC:
        summary = _summary(tx, str(entry.stored.originator_id).partition("/")[2])
    return Found(entry, entry.position, head > entry.position, summary)


def _conditions(wanted: Wanted) -> tuple[list[str], list[str]]:
    told: list[str] = []
    values: list[str] = []
    if wanted.types:
        kinds = [name.removesuffix("*") for name in wanted.types if name.endswith(".*")]
        types = [name for name in wanted.types if not name.endswith(".*")]
        either = [f"topic IN ({_marks(types)})"] if types else []
        either += ["substr(topic, 1, CAST(? AS INTEGER)) = ?"] * len(kinds)
        told.append(f"({' OR '.join(either)})")
        values += [*types, *(each for kind in kinds for each in (str(len(kind)), kind))]
    if wanted.subjects:
        told.append(f"originator_id IN ({_marks(wanted.subjects)})")
        values += wanted.subjects
    if wanted.summaries:
        told += [f"topic NOT IN ({_marks(ROUTINE)})", IS_NO_REPEAT]
        values += [*ROUTINE, WAITS]
    return told, values


def _marks(values: Iterable[str]) -> str:
    return ", ".join("?" for _ in values)


def _summary(tx: Transaction, operation: str) -> dict[str, Any]:
    """What became of the hosts of an operation that has ended."""
    sql = """
        SELECT outcome, count(*) FROM operation_hosts WHERE operation = ?
        GROUP BY outcome ORDER BY outcome
    """
    counts = dict(tx.execute(sql, (operation,)).fetchall())
    sql = f"""
        SELECT record FROM operation_hosts
        WHERE operation = ? AND outcome IN ('failed', 'unknown') ORDER BY number LIMIT {NAMED_MAX}
    """  # noqa: S608 - a constant
    rows = tx.execute(sql, (operation,)).fetchall()
    return {"counts": counts, "failed_hosts": [orjson.loads(row[0])["address"] for row in rows]}
