"""A projection folds the log into tables; its position says how far it has come."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import orjson
from eventsourcing.persistence import PersistenceError

from domain.event import TOPICS, Event, Recorded
from domain.log import recorder
from domain.log.engine import Engine, Stopped
from domain.log.mapper import to_event
from domain.log.transaction import EngineName, Transaction
from projections.tables import TEXT, MemoryTables, Opened, StoredTables, Table

CATCH_UP_EVENTS = 1000
"""How many events one transaction projects while catching up."""
LOCK_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Projection:
    """One read model. `project` is pure: the same events give the same rows, wherever they are.

    `version` grows with every change of `project` or the tables that needs a rebuild. `handles`
    are the classes of events that change a row; it is not called for others.
    """

    name: str
    version: int
    tables: tuple[Table[Any], ...]
    handles: tuple[type[Event], ...]
    project: Callable[[Recorded, Opened], None]


class Concerned:
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


def tag(recorded: Recorded) -> str:
    """A validator for what an event changed: another text for every event of every log.

    The position alone would come again with other content after a backup was restored.
    """
    return tag_of(recorded.position, recorded.recorded_at)


def tag_of(position: int, recorded_at: str) -> str:
    """A validator for what the log said when it had come to a position."""
    return f"{position:x}-{crc32(recorded_at.encode()):08x}"


def positions_schema(engine: EngineName) -> str:
    """How far each projection has come."""
    return f"""
        CREATE TABLE IF NOT EXISTS projection_positions (
            name {TEXT[engine]} PRIMARY KEY,
            version BIGINT NOT NULL,
            position BIGINT NOT NULL
        )
    """


SAVE_POSITIONS = """
    INSERT INTO projection_positions (name, version, position) VALUES {rows}
    ON CONFLICT (name) DO UPDATE SET version = excluded.version, position = excluded.position
"""
ROW = "(?, ?, ?)"
SAVE_POSITION = SAVE_POSITIONS.format(rows=ROW)


FORGET_POSITION = "DELETE FROM projection_positions WHERE name = '{name}'"


class ReadModels:
    """All projections of a service, kept up to date in the transactions that append."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self.projections = tuple(projections)
        self._concerned = Concerned(projections)
        self._save_positions = SAVE_POSITIONS.format(rows=", ".join([ROW] * len(self.projections)))
        self.stopped: dict[str, Stopped] = {}
        """Why a projection, by its name, cannot go on with the log."""

    def create_tables(self, engine: Engine) -> None:
        """Create what is not there, and anew what another version of a projection had made."""
        engine.execute_schema([positions_schema(engine.name)])
        with engine.snapshot() as tx:
            versions = dict(tx.execute("SELECT name, version FROM projection_positions").fetchall())
        statements = []
        for projection in self.projections:
            if versions.get(projection.name, projection.version) != projection.version:
                statements += [table.drop for table in projection.tables]
                statements.append(FORGET_POSITION.format(name=projection.name))
            for table in projection.tables:
                statements += table.schema(engine.name)
        engine.execute_schema(statements)

    def project(self, tx: Transaction, events: Sequence[Recorded]) -> None:
        """Bring all tables up to date with events that are being appended.

        Raises `Stopped` where one of them does not say what the log says.
        """
        for stopped in self.stopped.values():
            raise Stopped(str(stopped))
        tables = StoredTables(tx)
        for recorded in events:
            for projection in self._concerned.by(recorded.event.TOPIC):
                projection.project(recorded, tables)
        tables.flush()

    def save_position(self, tx: Transaction, position: int) -> None:
        """Note that all projections have come this far."""
        values: list[object] = []
        for projection in self.projections:
            values += (projection.name, projection.version, position)
        tx.execute(self._save_positions, values)

    def follow(self, tx: Transaction, position: int) -> None:
        """Project what is missing up to a position, in a transaction that holds the append lock.

        Nothing is, where everybody appends through `domain.log.writer`; but what somebody else
        inserted must not be jumped over when the next position is saved. Raises `Stopped`.
        """
        for projection in self.projections:
            with self._stopping(projection):
                while stored_position(tx, projection.name) < position and _project_some(
                    tx, projection
                ):
                    pass
        for stopped in self.stopped.values():
            raise Stopped(str(stopped))

    def catch_up(self, engine: Engine) -> None:
        """Project what the log has beyond each projection's position, in batches.

        One that cannot handle an event stops there, for as long as this process runs; it is never
        skipped. The others go on.
        """
        for projection in self.projections:
            with self._stopping(projection):
                while _catch_up_some(engine, projection):
                    pass

    @contextmanager
    def _stopping(self, projection: Projection) -> Iterator[None]:
        try:
            yield
        except Stopped as stopped:
            self.stopped[projection.name] = stopped


def _catch_up_some(engine: Engine, projection: Projection) -> bool:
    with engine.append(LOCK_TIMEOUT_S) as appending:
        found = _project_some(appending.tx, projection)
        if found:
            appending.commit()
    return found


def _project_some(tx: Transaction, projection: Projection) -> bool:
    """Project the next entries beyond a projection's position; False where there are none."""
    entries = recorder.entries(tx, stored_position(tx, projection.name), CATCH_UP_EVENTS)
    if not entries:
        return False
    tables = StoredTables(tx)
    for entry in entries:
        try:
            recorded = Recorded(entry.position, entry.recorded_at, to_event(entry.stored))
            projection.project(recorded, tables)
        except PersistenceError:
            raise
        except Exception as defect:
            raise Stopped(
                f"The read model of {projection.name} has stopped before position {entry.position}"
                f" of the log: it cannot handle {entry.stored.topic} ({type(defect).__name__})."
            ) from defect
    tables.flush()
    tx.execute(SAVE_POSITION, (projection.name, projection.version, entries[-1].position))
    return True


def stored_position(tx: Transaction, name: str) -> int:
    """How far a projection has come; 0 where it has not begun."""
    sql = "SELECT position FROM projection_positions WHERE name = ?"
    found = tx.execute(sql, (name,)).fetchone()
    return int(found[0]) if found else 0


def digest(tx: Transaction, projection: Projection) -> str:
    """SHA-256 over all rows of a projection's tables, in the order of their keys."""
    return _digest(
        (table.name, [tuple(row) for row in tx.execute(table.scan).fetchall()])
        for table in projection.tables
    )


def rebuilt_digest(tx: Transaction, projection: Projection) -> str:
    """What the digest is where the whole log is projected anew, in memory."""
    tables = MemoryTables()
    position = 0
    while entries := recorder.entries(tx, position, CATCH_UP_EVENTS):
        for entry in entries:
            recorded = Recorded(entry.position, entry.recorded_at, to_event(entry.stored))
            projection.project(recorded, tables)
        position = entries[-1].position
    return _digest(
        (table.name, [table.values(row) for _, row in sorted(tables(table).rows.items())])
        for table in projection.tables
    )


def _digest(tables: Iterable[tuple[str, list[tuple[Any, ...]]]]) -> str:
    sha256 = hashlib.sha256()
    for name, rows in tables:
        sha256.update(name.encode())
        for row in rows:
            sha256.update(orjson.dumps(row))
    return f"sha256:{sha256.hexdigest()}"
