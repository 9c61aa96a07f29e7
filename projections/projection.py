"""A projection folds the log into tables; its position says how far it has come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

from domain.event import TOPICS, Event, Recorded
from domain.log.engine import PersistenceError
from domain.log.mapper import decode
from domain.log.recorder import Row
from domain.log.transaction import EngineName, Transaction, driver_errors
from projections.tables import TEXT, Table, TableAccess


@dataclass(frozen=True)
class Projection:
    """One read model. `project` is pure: the same events give the same rows, wherever they are.

    `version` grows with every change of `project` or the tables that needs a rebuild. `handles`
    are the classes of events that change a row; it is not called for others. Until the rebuild is
    done, rows of older versions are served and gone on with, where the columns are the same:
    `servable_since` is the oldest version whose rows are good enough for that.
    """

    name: str
    version: int
    tables: tuple[Table[Any], ...]
    handles: tuple[type[Event], ...]
    project: Callable[[Recorded, TableAccess], None]
    servable_since: int = 1


def tag(recorded: Recorded, version: int) -> str:
    """A validator for what an event changed: another text for every event of every log.

    The position alone would come again with other content after a backup was restored. With the
    version of the projection, because another version may say something else of the same event.
    """
    return tag_of(recorded.position, recorded.recorded_at, version)


def tag_of(position: int, recorded_at: str, version: int = 1) -> str:
    """A validator for what the log said when it had come to a position."""
    return f"{position:x}-{_mark(recorded_at, version)}"


def position_of(tag: str) -> int:
    """The position that a validator of `tag_of` is of."""
    return int(tag.partition("-")[0], 16)


@lru_cache(maxsize=8)
def _mark(recorded_at: str, version: int) -> str:
    # What is appended together has one time.
    return f"{crc32(recorded_at.encode(), version - 1):08x}"


class HandlersByTopic:
    """Which of some projections an event is for."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._projections = tuple(projections)
        self._by_topic: dict[str, tuple[Projection, ...]] = {}

    def by(self, topic: str) -> tuple[Projection, ...]:
        """The projections that handle it. An event that nobody knows may be for any of those that
        handle its kind of aggregate (`host.` …), or for all where nobody knows that either.
        """
        found = self._by_topic.get(topic)
        if found is None:
            found = tuple(each for each in self._projections if _handles(each, topic))
            if topic in TOPICS:
                self._by_topic[topic] = found
        return found


def _handles(projection: Projection, topic: str) -> bool:
    known = TOPICS.get(topic)
    if known is not None:
        return issubclass(known, projection.handles)
    kind = topic.partition(".")[0]
    of_kind = [event for name, event in TOPICS.items() if name.partition(".")[0] == kind]
    return not of_kind or any(issubclass(event, projection.handles) for event in of_kind)


@dataclass(frozen=True)
class Stop:
    """Where a projection cannot go on, and why."""

    position: int
    why: str


class Fold:
    """Projects the log, entry by entry, into tables: each entry is decoded once for all.

    A projection that cannot handle an event stops before it, and the others go on: what its
    tables have is then worth nothing, because the event may have changed some of them already.
    """

    def __init__(
        self, projections: Sequence[Projection], tables: TableAccess, position: int = 0
    ) -> None:
        self.position = position
        """The last entry that was projected."""
        self.stops: dict[str, Stop] = {}
        """Those that stopped, by their names."""
        self._projections = tuple(projections)
        self._tables = tables
        self._handlers = HandlersByTopic(projections)

    @property
    def going(self) -> tuple[Projection, ...]:
        """The projections that did not stop."""
        return tuple(each for each in self._projections if each.name not in self.stops)

    def add(self, rows: Sequence[Row]) -> None:
        """Project the next entries of the log."""
        tables, by, new = self._tables, self._handlers.by, tuple.__new__
        for position, recorded_at, originator_id, version, topic, state in rows:
            concerned = by(topic)
            if not concerned:
                continue
            try:
                event = decode(topic, originator_id, version, state)
            except Exception as defect:  # noqa: BLE001 - whatever it is, it is in the log to stay
                self._stop(concerned, position, topic, defect)
                by = self._handlers.by
                continue
            # As `Recorded(…)`, which is Python's own code and takes three times as long.
            recorded = new(Recorded, (position, recorded_at, event))
            for projection in concerned:
                try:
                    projection.project(recorded, tables)
                except PersistenceError:
                    raise
                except Exception as defect:
                    if isinstance(defect, driver_errors()):
                        raise
                    self._stop((projection,), position, topic, defect)
                    by = self._handlers.by
        if rows:
            self.position = rows[-1][0]

    def _stop(
        self, projections: Sequence[Projection], position: int, topic: str, defect: Exception
    ) -> None:
        for projection in projections:
            self.stops[projection.name] = Stop(
                position,
                f"The read model of {projection.name} has stopped before position {position} of"
                f" the log: it cannot handle {topic} ({type(defect).__name__}).",
            )
        self._handlers = HandlersByTopic(self.going)


# How far each projection has come


def positions_schema(engine: EngineName) -> str:
    """How far each projection has come, and which version of it had made the rows."""
    return f"""
        CREATE TABLE IF NOT EXISTS projection_positions (
            name {TEXT[engine]} PRIMARY KEY,
            version BIGINT NOT NULL,
            position BIGINT NOT NULL
        )
    """


SAVE_POSITIONS = """
    INSERT INTO projection_positions (name, version, position) VALUES {rows}
    ON CONFLICT (name) DO UPDATE SET position = excluded.position, version = CASE
        WHEN excluded.version < projection_positions.version THEN excluded.version
        ELSE projection_positions.version END
"""
"""Rows are as old as the oldest version that had a hand in them: only a rebuild makes them new."""
ROW = "(?, ?, ?)"
SAVE_POSITION = SAVE_POSITIONS.format(rows=ROW)

SAVE_REBUILT = """
    INSERT INTO projection_positions (name, version, position) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET version = excluded.version, position = excluded.position
"""


class Made(NamedTuple):
    """What the tables of a projection were made by, and up to where."""

    version: int
    position: int


def made(tx: Transaction) -> dict[str, Made]:
    """Every projection that has begun, by its name."""
    found = tx.execute("SELECT name, version, position FROM projection_positions").fetchall()
    return {name: Made(version, position) for name, version, position in found}


def stored_position(tx: Transaction, name: str) -> int:
    """How far a projection has come; 0 where it has not begun."""
    sql = "SELECT position FROM projection_positions WHERE name = ?"
    found = tx.execute(sql, (name,)).fetchone()
    return int(found[0]) if found else 0
