"""The read models as they were: folded anew from the log, as far as a question needs them.

The projections, their tables and the queries are those of today's answers; only the database is
another: SQLite in memory, whatever the engine of the log. The answer about one host comes from its
own stream; of a cluster, from its own and the last change of each member; of the whole fleet, from
the log after the last checkpoint (`projections/past/checkpoints.py`) before that time.
"""

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from domain.all_events import TOPICS
from domain.event import Event, Recorded
from domain.log import recorder
from domain.log.engine import Engine, Head, OperationalError, PersistenceError, Stopped
from domain.log.mapper import to_event
from domain.log.reading import as_of
from domain.log.recorder import Entry
from domain.log.transaction import SQLiteTransaction
from projections import clusters, container_managers, hosts, networks
from projections.beside_the_log import heartbeats
from projections.fleet import projection as fleet
from projections.planning import schedules, windows
from projections.projection import HandlersByTopic, Projection
from projections.rollouts import budgets
from projections.tables import StoredTables

FLEET = (
    hosts.PROJECTION,
    clusters.PROJECTION,
    networks.PROJECTION,
    container_managers.PROJECTION,
    fleet.PROJECTION,
    windows.PROJECTION,
    budgets.PROJECTION,
    schedules.PROJECTION,
)
"""What is known of the whole fleet at a time. Operations are asked for one by one."""
MEMBERS_AT_ONCE = 500
"""Of how many members one statement asks for the last change."""
LOCK_TIMEOUT_S = 5.0
FOLDED_BETWEEN_BREATHS = 16
FOLDED_AT_ONCE = 10_000
"""Events whose rows are held as objects: each takes a kilobyte, and leaves holes in memory."""

T = TypeVar("T")
Query = Callable[..., T]


class NotYet(Exception):
    """The time that was asked about is in the future."""


class Breath:
    """Lets other threads have their turn in a long work, and ends it where it takes too long.

    Python's threads run one at a time, and one that does not pause keeps the event loop waiting
    for milliseconds, each time that it has anything to do.
    """

    def __init__(self, work_s: float, pause_s: float, deadline: float) -> None:
        self._work_s, self._pause_s = work_s, pause_s
        self._deadline = deadline
        self._began = time.monotonic()

    def __call__(self) -> None:
        """Pause, where it is time to. Raises `OperationalError` after the deadline."""
        now = time.monotonic()
        if now - self._began < self._work_s:
            return
        if now > self._deadline:
            raise OperationalError("the past could not be read in time")
        time.sleep(self._pause_s)
        self._began = time.monotonic()


def no_breath() -> None:
    """Nobody else is there to be let go first."""


class Scratch:
    """Tables of some projections in memory, as of a position. Of one thread at a time."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self.position = 0
        self._concerned = HandlersByTopic(projections)
        self._tables = [table for projection in projections for table in projection.tables]
        self._connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        # Those of a thread go with it, and nobody is told when that is.
        weakref.finalize(self, self._connection.close).atexit = False
        self.tx = SQLiteTransaction(self._connection)
        self._create()

    def _create(self) -> None:
        for table in self._tables:
            for statement in table.schema("sqlite"):
                self.tx.execute(statement)
        # Heartbeats are no events: of the past there are none.
        self.tx.execute(heartbeats.heartbeats_schema("sqlite"))

    def clear(self) -> None:
        """Drop all rows."""
        for table in self._tables:
            self.tx.execute(f"DELETE FROM {table.name}")  # noqa: S608 - names are ours
        self.position = 0

    def fold(
        self,
        entries: Iterable[Entry],
        breathe: Callable[[], None] = no_breath,
        at_once: int = FOLDED_AT_ONCE,
    ) -> None:
        """Go on with further entries. Raises `Stopped` where a projection cannot."""
        entries = iter(entries)
        while some := list(islice(entries, at_once)):
            tables = StoredTables(self.tx)
            for number, entry in enumerate(some):
                if number % FOLDED_BETWEEN_BREATHS == 0:
                    breathe()
                self._project(entry, tables)
            self.tx.execute("BEGIN")
            tables.flush()
            self.tx.execute("COMMIT")

    def _project(self, entry: Entry, tables: StoredTables) -> None:
        try:
            concerned = self._concerned.by(entry.stored.topic)
            if concerned:
                recorded = Recorded(entry.position, entry.recorded_at, to_event(entry.stored))
                for projection in concerned:
                    projection.project(recorded, tables)
        except PersistenceError:
            raise
        except Exception as defect:
            raise Stopped(
                f"Nothing can be told of times from position {entry.position} of the log on: this"
                f" version cannot handle {entry.stored.topic} ({type(defect).__name__})."
            ) from defect

    @property
    def size(self) -> int:
        """The size of the database in bytes."""
        pages = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(self.tx.execute(pages).fetchone()[0])

    def image(self) -> bytes:
        """The whole database as bytes, for `restore`."""
        return self._connection.serialize()

    def restore(self, image: bytes, position: int) -> None:
        """Load an image. Raises `sqlite3.Error` for what is none, and is empty then."""
        try:
            self._connection.deserialize(image)
            self._create()  # what it has already stays: an image that is none fails here
        except sqlite3.Error:
            self._connection.deserialize(b"")
            self._create()
            self.position = 0
            raise
        self.position = position

    def close(self) -> None:
        """Close the database, and free its memory."""
        self._connection.close()


class Past:
    """Answers about single subjects. Each thread has tables of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = threading.local()

    def host(
        self,
        up_to: int,
        query: "Query[T]",
        address: str,
        *,
        breathe: Callable[[], None] = no_breath,
    ) -> T:
        """`query(tx, address)`, of what the host's own stream says."""
        of_host = f"host/{address}"
        return self.subject(hosts.PROJECTION, of_host, up_to, query, address, breathe=breathe)

    def subject(
        self,
        projection: Projection,
        originator_id: str,
        up_to: int,
        query: "Query[T]",
        name: str,
        *,
        breathe: Callable[[], None] = no_breath,
    ) -> T:
        """`query(tx, name)`, of what one aggregate's stream says."""
        scratch = self._scratch(projection)
        scratch.fold(self._stream(originator_id, up_to), breathe)
        return query(scratch.tx, name)

    def members(
        self,
        up_to: int,
        query: "Query[T]",
        name: str,
        *more: Any,
        breathe: Callable[[], None] = no_breath,
    ) -> T:
        """`query(tx, name, …)`, of what the cluster's own stream says."""
        scratch = self._scratch(clusters.PROJECTION)
        scratch.fold(self._stream(f"cluster/{name}", up_to), breathe)
        return query(scratch.tx, name, *more)

    def cluster(
        self,
        up_to: int,
        query: "Query[T]",
        name: str,
        *,
        breathe: Callable[[], None] = no_breath,
    ) -> T:
        """`query(tx, name)`, of what the cluster's stream and those of its members say.

        Whether a member is available is what its last event of these says, after it had joined;
        those who left count no more. So one event of each is enough, whenever it is folded.
        """
        scratch = self._scratch(clusters.PROJECTION)
        scratch.fold(self._stream(f"cluster/{name}", up_to), breathe)
        scratch.fold(self._of_members(scratch, up_to), breathe)
        return query(scratch.tx, name)

    def _of_members(self, scratch: Scratch, up_to: int) -> Iterator[Entry]:
        found = scratch.tx.execute("SELECT address, position FROM members").fetchall()
        topics = [event.TOPIC for event in clusters.COUNTED]
        for begin in range(0, len(found), MEMBERS_AT_ONCE):
            since = {f"host/{row[0]}": row[1] for row in found[begin : begin + MEMBERS_AT_ONCE]}
            with self._engine.snapshot() as tx:
                entries = as_of.last_of_each(tx, since, up_to, topics)
            yield from entries

    def _stream(self, originator_id: str, up_to: int) -> Iterator[Entry]:
        """Read in chunks: a long read would keep the log from being tidied up."""
        version = 0
        while True:
            with self._engine.snapshot() as tx:
                entries = as_of.stream(tx, originator_id, version, up_to)
            yield from entries
            if len(entries) < as_of.CHUNK_EVENTS:
                return
            version = entries[-1].stored.originator_version

    def _scratch(self, projection: Projection) -> Scratch:
        scratch: Scratch | None = getattr(self._threads, projection.name, None)
        if scratch is None:
            scratch = Scratch((projection,))
            setattr(self._threads, projection.name, scratch)
        else:
            scratch.clear()
        return scratch


def place(engine: Engine, moment: str, now: Callable[[], str]) -> Head:
    """The last entry that was recorded by then, and ever will be. Raises `NotYet`."""
    with engine.snapshot() as tx:
        head = recorder.head(tx)
        if moment < head.recorded_at:
            return as_of.by(tx, moment)
    if moment > max(now(), head.recorded_at):
        raise NotYet
    # What is being appended may have been stamped before that time. Under the lock nobody
    # appends, and whoever does later stamps a later time.
    with engine.append(LOCK_TIMEOUT_S) as appending:
        return as_of.by(appending.tx, moment)


def advance(
    engine: Engine,
    scratch: Scratch,
    up_to: int,
    breathe: Callable[[], None] = no_breath,
    at_once: int = FOLDED_AT_ONCE,
) -> None:
    """Fold the log into the tables of the fleet, up to a position."""
    scratch.fold(_log(engine, scratch.position, up_to), breathe, at_once)
    scratch.position = up_to


def _log(engine: Engine, position: int, up_to: int) -> Iterator[Entry]:
    but = unseen()
    while position < up_to:
        with engine.snapshot() as tx:
            entries = as_of.log(tx, position, up_to, but)
        yield from entries
        if len(entries) < as_of.CHUNK_EVENTS:
            return
        position = entries[-1].position


def unseen() -> list[str]:
    """Topics of events that change no record of the fleet. What nobody knows is not among them."""
    return [topic for topic, event in TOPICS.items() if not _is_seen(event)]


def _is_seen(event: type[Event]) -> bool:
    if issubclass(event, (*fleet.HANDLES, *budgets.HANDLES)):
        return True
    if issubclass(event, (*hosts.UNSEEN, *clusters.UNSEEN)):
        return False
    return any(issubclass(event, projection.handles) for projection in FLEET)
