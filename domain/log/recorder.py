"""Stored events in and out of the log: our recorder for the package `eventsourcing`.

It replaces the package's own recorders, whose SQLite table lets the database choose positions
anew (`rowid`) and whose transactions take no lock before they read.
"""

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    NotSupportedError,
    Subscription,
)

from domain.event import TIME_FORMAT
from domain.log.engine import EMPTY, NOWHERE, Engine, Head, LogWentBack, Place, StoredEvent
from domain.log.schema import ADDED, HEAD, LAST_GIVEN, NEWEST, SCHEMA, SKIP
from domain.log.subscription import LogSubscription
from domain.log.transaction import EngineName, Transaction
from domain.log.tree import kept
from domain.log.tree.kept import Leaf
from domain.log.tree.leaf import hash_of

LOCK_TIMEOUT_S = 10.0

# Nothing is inserted where the version before is missing: it was decided on what is not in the log.
INSERT = """
    INSERT INTO stored_events
        (originator_id, originator_version, topic, state, recorded_at, append_id)
    SELECT {values} WHERE ? <= 1 OR EXISTS (
        SELECT 1 FROM stored_events WHERE originator_id = ? AND originator_version = ?
    ) RETURNING position
"""
INSERT_ON: dict[EngineName, str] = {
    "sqlite": INSERT.format(values="?, ?, ?, ?, ?, ?"),
    "postgresql": INSERT.format(
        values="CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BYTEA),"
        " CAST(? AS TEXT), CAST(? AS BIGINT)"
    ),
}
STREAM = """
    SELECT originator_id, originator_version, topic, state FROM stored_events
    WHERE originator_id = ? AND originator_version > ? AND originator_version <= ?
    ORDER BY originator_version
"""
NEWEST_EACH = """
    SELECT s.originator_id, s.originator_version, s.topic, s.state FROM (
        SELECT originator_id AS id, max(originator_version) AS version FROM stored_events
        WHERE originator_id > ? AND originator_id < ? GROUP BY originator_id
    ) AS newest JOIN stored_events s
    ON s.originator_id = newest.id AND s.originator_version = newest.version
    ORDER BY s.originator_id
"""
HAS_STREAM = "SELECT 1 FROM stored_events WHERE originator_id = ? LIMIT 1"
LOG = """
    SELECT position, recorded_at, originator_id, originator_version, topic, state
    FROM stored_events WHERE position > ? AND position <= ? ORDER BY position LIMIT ?
"""
EVENT = """
    SELECT topic, state FROM stored_events WHERE originator_id = ? AND originator_version = ?
"""
PLACE = """
    SELECT position, recorded_at, coalesce(append_id, 0) FROM stored_events WHERE position = ?
"""
PLACE_BEFORE = """
    SELECT position, recorded_at, coalesce(append_id, 0) FROM stored_events WHERE position <= ?
    ORDER BY position DESC LIMIT 1
"""
OF_KIND = "SELECT 1 FROM stored_events WHERE originator_id >= ? AND originator_id < ? LIMIT 1"
NEXT = "SELECT coalesce(min(position), 0) FROM stored_events WHERE position > ?"
GAP = """
    SELECT 1 FROM (
        SELECT position - lag(position, 1, ?) OVER (ORDER BY position) AS step
        FROM stored_events WHERE position > ?
    ) AS steps WHERE step > ? LIMIT 1
"""
TOUCHED = "SELECT DISTINCT originator_id FROM stored_events WHERE position > ?"

VERSION_MAX = POSITION_MAX = 2**63 - 1
APPEND_ID_BITS = 63


class Entry(NamedTuple):
    """A stored event with its place in the log."""

    position: int
    recorded_at: str
    stored: StoredEvent


Row = tuple[int, str, str, int, str, bytes]
"""Position, time of recording, aggregate, version, topic and state of an entry."""


def entry_of(row: Row) -> Entry:
    """An entry from its row."""
    position, recorded_at, originator_id, version, topic, state = row
    return Entry(position, recorded_at, StoredEvent(originator_id, version, topic, bytes(state)))


def now() -> str:
    """The time to stamp on an entry of the log, by the machine's clock."""
    second, nanosecond = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(second)}.{nanosecond // 1000:06d}"


@lru_cache(maxsize=1)
def _second(second: int) -> str:
    # Each second once: formatting a time costs as much as all the rest of a log line.
    return datetime.fromtimestamp(second, UTC).strftime(TIME_FORMAT.removesuffix(".%f"))


def insert(
    tx: Transaction, head: Head | Place, stored: Sequence[StoredEvent], at: str | None = None
) -> list[Place]:
    """Append under the append lock; gives the place of each.

    `recorded_at` is the machine's clock, but never before that of `head`, unless `at` is given:
    then the times of the log begin anew. Raises `LogWentBack` where the version before one of them
    is not in the log.
    """
    recorded_at, append_id = at or max(now(), head.recorded_at), new_append_id()
    rows = [
        (
            event.originator_id,
            event.originator_version,
            event.topic,
            event.state,
            recorded_at,
            append_id,
            event.originator_version,
            event.originator_id,
            event.originator_version - 1,
        )
        for event in stored
    ]
    places = tx.execute_each(INSERT_ON[tx.engine], rows)
    for place, event in zip(places, stored, strict=True):
        if place is None:
            raise LogWentBack(
                f"version {event.originator_version - 1} of {event.originator_id} is not in the log"
            )
    return [Place(place[0], recorded_at, append_id) for place in places]


def leaves(places: Sequence[Place], stored: Sequence[StoredEvent]) -> list[Leaf]:
    """What was inserted, for the tree."""
    return [
        Leaf(
            place.position,
            hash_of(
                place.position,
                place.recorded_at,
                str(event.originator_id),
                event.originator_version,
                event.topic,
                event.state,
            ),
        )
        for place, event in zip(places, stored, strict=True)
    ]


def new_append_id() -> int:
    """Another one for each append, of every log."""
    return secrets.randbits(APPEND_ID_BITS) | 1


def stream(
    tx: Transaction, originator_id: str, gt: int = 0, lte: int = VERSION_MAX
) -> Iterator[StoredEvent]:
    """One aggregate's events, oldest first."""
    for row in tx.execute(STREAM, (originator_id, gt, lte)).fetchall():
        yield StoredEvent(row[0], row[1], row[2], bytes(row[3]))


def newest_each(tx: Transaction, kind: str) -> list[StoredEvent]:
    """The newest event of each aggregate of a kind of which there are few, sorted by name."""
    rows = tx.execute(NEWEST_EACH, (f"{kind}/", f"{kind}0")).fetchall()  # 0 is what follows /
    return [StoredEvent(row[0], row[1], row[2], bytes(row[3])) for row in rows]


def has_stream(tx: Transaction, originator_id: str) -> bool:
    """Whether an aggregate has any events."""
    return tx.execute(HAS_STREAM, (originator_id,)).fetchone() is not None


def entries(tx: Transaction, after: int, limit: int, up_to: int = POSITION_MAX) -> list[Entry]:
    """The next entries of the log after a position, in order. Gaps in positions are normal."""
    return [entry_of(row) for row in tx.execute(LOG, (after, up_to, limit)).fetchall()]


def rows(tx: Transaction, after: int, limit: int, up_to: int = POSITION_MAX) -> list[Row]:
    """The next entries of the log after a position, as they are stored."""
    return tx.execute(LOG, (after, up_to, limit)).fetchall()


def head(tx: Transaction) -> Head:
    """The newest entry of the log."""
    return Head(*(tx.execute(HEAD).fetchone() or EMPTY))


def newest(tx: Transaction) -> Place:
    """As `head`, with the id of its append: of a log that is served by this version."""
    return Place(*(tx.execute(NEWEST).fetchone() or NOWHERE))


def place(tx: Transaction, position: int) -> Place:
    """The entry at a position, or the last one before it."""
    return Place(*(tx.execute(PLACE_BEFORE, (position,)).fetchone() or NOWHERE))


def has(tx: Transaction, place: Place) -> bool:
    """Whether this very entry is in the log, and with it all that was before it."""
    return place == NOWHERE or Place(
        *(tx.execute(PLACE, (place.position,)).fetchone() or NOWHERE)
    ) == (place)


def skip(tx: Transaction, position: int) -> None:
    """Give out no position up to this one any more; under the append lock."""
    (last,) = tx.execute(LAST_GIVEN[tx.engine]).fetchone() or (0,)
    if last < position:
        for statement in SKIP[tx.engine]:
            tx.execute(statement, (position,))


def next_after(tx: Transaction, position: int) -> int:
    """The first position after this one; 0 where there is none."""
    (found,) = tx.execute(NEXT, (position,)).fetchone()
    return int(found)


def has_gap(tx: Transaction, after: int, positions: int) -> bool:
    """Whether, beyond a position, so many were never given to anything that is stored, in a row."""
    return tx.execute(GAP, (after, after, positions)).fetchone() is not None


def holds(tx: Transaction, stored: StoredEvent) -> bool:
    """Whether this very event is in the log, to the byte."""
    row = tx.execute(EVENT, (stored.originator_id, stored.originator_version)).fetchone()
    return row is not None and (row[0], bytes(row[1])) == (stored.topic, stored.state)


def has_any(tx: Transaction, kinds: Iterable[str]) -> bool:
    """Whether the log says anything of an aggregate of one of these kinds."""
    # "0" comes after "/", and nothing between them.
    return any(tx.execute(OF_KIND, (f"{kind}/", f"{kind}0")).fetchone() for kind in kinds)


def touched_since(tx: Transaction, position: int) -> list[str]:
    """The aggregates that have events after a position."""
    return [row[0] for row in tx.execute(TOUCHED, (position,)).fetchall()]


class LogRecorder(ApplicationRecorder):
    """The log as the package `eventsourcing` knows it, for its mappers, stores and tools.

    Events that are inserted through here are not projected: the service appends through
    `domain.log.writer`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create_table(self) -> None:
        """Create the table and its triggers, where they are not there, and what is new of it."""
        self._engine.execute_schema(SCHEMA[self._engine.name])
        is_there, add = ADDED[self._engine.name]
        with self._engine.snapshot() as tx:
            (count,) = tx.execute(is_there).fetchone()
        if not count:
            self._engine.execute_schema((add,))

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append in one transaction; gives the positions."""
        with self._engine.append(LOCK_TIMEOUT_S) as appending:
            places = insert(appending.tx, appending.head, stored_events)
            kept.extend(appending.tx, appending.head.position, leaves(places, stored_events))
            appending.commit()
        return [place.position for place in places]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """One aggregate's events."""
        with self._engine.snapshot() as tx:
            found = list(
                stream(
                    tx,
                    str(originator_id),
                    -1 if gt is None else gt,
                    VERSION_MAX if lte is None else lte,
                )
            )
        if desc:
            found.reverse()
        return found[:limit]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Entries of the log from a position on; `topics` is not supported."""
        if topics:
            raise NotSupportedError("select_notifications does not filter by topic")
        after = (start or 0) - (1 if inclusive_of_start and start else 0)
        with self._engine.snapshot() as tx:
            found = entries(tx, after, limit, POSITION_MAX if stop is None else stop)
        return [
            Notification(
                originator_id=entry.stored.originator_id,
                originator_version=entry.stored.originator_version,
                topic=entry.stored.topic,
                state=entry.stored.state,
                id=entry.position,
            )
            for entry in found
        ]

    def max_notification_id(self) -> int | None:
        """The newest position, or `None`."""
        with self._engine.snapshot() as tx:
            return head(tx).position or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Follow the log after a position; only events of some topics, where any are named."""
        return LogSubscription(self, gt, topics)
