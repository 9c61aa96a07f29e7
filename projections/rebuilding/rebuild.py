"""Making read models anew beside those that serve, and putting right what differs, at one stroke.

The log is folded into scratch tables, in batches, while everybody reads and writes. When little is
missing, one transaction takes the append lock, folds what was appended meanwhile, and writes the
rows that differ over those that serve: nobody can append between the last look at the log and the
switch, and whoever reads sees the state before it or after it, whole, under the same names.
(Renaming tables would not do that in PostgreSQL: a reader that began before finds the new table by
its name, but not its rows.)
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.log import recorder
from domain.log.engine import Engine
from domain.log.recorder import Row
from domain.log.transaction import Transaction
from projections.projection import SAVE_REBUILT, Fold, Projection, Stop
from projections.rebuilding.scratch import Scratch
from projections.tables import Table, Values, differences, every_row, fits

BATCH_EVENTS = 5_000
SWITCH_EVENTS_MAX = 500
"""How many events the transaction of the switch folds at most; others wait meanwhile."""
SAVE_EVERY_S = 2.0
SAVE_SHARE = 0.05
"""Of the time, what saving may take: a rebuild that dies has to do again what came after it."""
LOCK_TIMEOUT_S = 60.0
WRITTEN_ROWS = 1_000
"""How many rows are written at once: the database has to answer in time."""
PACES_A_SECOND = 5
"""How many batches a rebuild that is held back spreads its events of a second over."""

Advance = Callable[[int, int], None]
"""Told how far it is, and how far the log goes."""


@dataclass
class Rebuilt:
    """The result of a rebuild."""

    position: int = 0
    """Up to where the log was folded."""
    changed: dict[str, int] = field(default_factory=dict)
    """How many rows were not as they should be, for each projection that was switched."""
    stops: dict[str, Stop] = field(default_factory=dict)
    """Projections that met an event that they cannot handle. Their tables were left alone."""


def rebuild(
    engine: Engine,
    projections: Sequence[Projection],
    scratch: Scratch,
    *,
    events_per_second: float | None = None,
    advance: Advance = lambda position, head: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Rebuilt:
    """Make projections anew while others read and write. Goes on where `scratch` ends.

    Raises `PersistenceError`; calling it again then goes on, and never does harm.
    """
    _must_be_of_this_log(engine, scratch)
    fold = Fold(projections, scratch.tables, scratch.position)
    pace = _Pace(events_per_second, clock, sleep)
    save_at = clock() + SAVE_EVERY_S
    while fold.going:
        rows, head = _next_rows(engine, fold.position, pace.batch_events)
        fold.add(rows)
        if rows and (begun := clock()) >= save_at and not fold.stops:
            scratch.save(fold.position, _place(rows[-1]))
            save_at = clock() + max(SAVE_EVERY_S, (clock() - begun) / SAVE_SHARE)
        advance(fold.position, head)
        if len(rows) < pace.batch_events:
            changed = _switch(engine, fold, scratch)
            if changed is not None:
                scratch.delete()
                return Rebuilt(fold.position, changed, fold.stops)
        pace.wait(len(rows))
    scratch.delete()
    return Rebuilt(fold.position, {}, fold.stops)


class _Pace:
    """Limits a rebuild to so many events a second."""

    def __init__(
        self,
        events_per_second: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._events_per_second = events_per_second
        self._clock, self._sleep = clock, sleep
        self._due_at = clock()
        self.batch_events = BATCH_EVENTS
        if events_per_second is not None:
            self.batch_events = min(BATCH_EVENTS, max(1, int(events_per_second / PACES_A_SECOND)))

    def wait(self, events: int) -> None:
        if self._events_per_second is None:
            return
        self._due_at = max(self._due_at, self._clock()) + events / self._events_per_second
        self._sleep(max(0.0, self._due_at - self._clock()))


def _must_be_of_this_log(engine: Engine, scratch: Scratch) -> None:
    """A backup that was restored has the same positions, and other events there."""
    if scratch.position == 0:
        return
    with engine.snapshot() as tx:
        found = recorder.rows(tx, scratch.position - 1, 1, scratch.position)
    if not found or _place(found[0]) != scratch.place:
        scratch.begin_anew()


def _place(row: Row) -> str:
    position, recorded_at, originator_id, originator_version, *_ = row
    return f"{position} {recorded_at} {originator_id} {originator_version}"


def _next_rows(engine: Engine, after: int, limit: int) -> tuple[Sequence[Row], int]:
    # A short look: what a long one would see is kept in the WAL, or from VACUUM.
    with engine.snapshot() as tx:
        return recorder.rows(tx, after, limit), recorder.head(tx).position


def _switch(engine: Engine, fold: Fold, scratch: Scratch) -> dict[str, int] | None:
    """The last events and the switch, in one transaction that nobody can append beside.

    `None` where too much had been appended meanwhile: somebody else must not wait for that.
    """
    with engine.append(LOCK_TIMEOUT_S) as appending:
        tx = appending.tx
        rows = recorder.rows(tx, fold.position, SWITCH_EVENTS_MAX + 1)
        if len(rows) > SWITCH_EVENTS_MAX:
            return None
        fold.add(rows)
        changed = {}
        for projection in fold.going:
            changed[projection.name] = _replace(tx, projection, scratch)
            told = (projection.name, projection.version, appending.head.position)
            tx.execute(SAVE_REBUILT, told)
        appending.commit()
    return changed


def _replace(tx: Transaction, projection: Projection, scratch: Scratch) -> int:
    """Write what differs over the tables that serve; gives how many rows that were."""
    changed = 0
    for table in projection.tables:
        if not fits(tx, table):
            tx.execute(table.drop)
            for sql in table.schema(tx.engine):
                tx.execute(sql)
        changed += _put_right(tx, table, scratch.rows(table))
    return changed


def _put_right(tx: Transaction, table: Table[Any], wanted: Iterator[tuple[Any, ...]]) -> int:
    gone: list[Values] = []
    written: list[Values] = []
    for key, _, new in differences(every_row(tx, table), wanted):
        if new is None:
            gone.append((key,))
        else:
            written.append(new)
    for sql, each in ((table.delete, gone), (table.upsert, written)):
        for start in range(0, len(each), WRITTEN_ROWS):
            tx.execute_each(sql, each[start : start + WRITTEN_ROWS])
    return len(gone) + len(written)
