"""All read models of a service: kept up to date where the log is appended to, and made at a start.

At a start each projection is one of three: its rows are those of this version, and it catches up
from where it is; they are of another version, but can be served and gone on with until a rebuild
beside them is done; or there is nothing that could be read, and until it has been built whatever
reads or writes is refused (`BeingBuilt`). A short log is projected at once.
"""

from collections.abc import Sequence

from domain.event import Recorded
from domain.log import recorder
from domain.log.engine import Engine, Stopped
from domain.log.transaction import Transaction
from projections.projection import (
    ROW,
    SAVE_POSITION,
    SAVE_POSITIONS,
    Fold,
    HandlersByTopic,
    Made,
    Projection,
    made,
    positions_schema,
    stored_position,
)
from projections.rebuilding.rebuild import rebuild
from projections.rebuilding.scratch import Scratch
from projections.tables import StoredTables, columns, fits

CATCH_UP_EVENTS = 1000
"""How many events one transaction projects while catching up."""
AT_ONCE_POSITIONS = 10_000
"""A log that is longer is not projected before the service answers, but beside it."""
LOCK_TIMEOUT_S = 60.0


class BeingBuilt(Stopped):
    """There is nothing to read yet; it is being made."""


class LiveTables:
    """All projections of a service, kept up to date in the transactions that append."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self.projections = tuple(projections)
        self._handlers = HandlersByTopic(projections)
        self._save_positions = SAVE_POSITIONS.format(rows=", ".join([ROW] * len(self.projections)))
        self.stopped: dict[str, Stopped] = {}
        """Why a projection, by its name, cannot go on with the log."""
        self.outdated: dict[str, str] = {}
        """Why a projection, by its name, is to be made anew. Those that are not in `stopped` as
        well are served as they are until then."""

        self.given_up: dict[str, str] = {}
        """Why a projection, by its name, could not be made anew by this version."""

    def create_tables(self, engine: Engine) -> None:
        """Create what is not there, and find out what has to be made anew."""
        engine.execute_schema([positions_schema(engine.name)])
        self.look(engine)
        with engine.snapshot() as tx:
            # What has other columns is left alone, until it is replaced by what was built.
            tables = [
                table
                for projection in self.projections
                for table in projection.tables
                if fits(tx, table) or not columns(tx, table)
            ]
        engine.execute_schema([sql for table in tables for sql in table.schema(engine.name)])
        if self._begin_what_is_new(engine):
            self.look(engine)

    def _begin_what_is_new(self, engine: Engine) -> bool:
        """Begin those at the head that the log says nothing of yet; whether there are any.

        There is nothing to build, however long the log is.
        """
        with engine.snapshot() as tx:
            found = made(tx)
        missing = [each for each in self.projections if each.name not in found]
        if not missing:
            return False
        with engine.append(LOCK_TIMEOUT_S) as appending:
            tx, head = appending.tx, appending.head.position
            new = [each for each in missing if head and not recorder.has_any(tx, _kinds(each))]
            for each in new:
                tx.execute(SAVE_POSITION, (each.name, each.version, head))
            appending.commit()
        return bool(new)

    def look(self, engine: Engine) -> None:
        """Find out what has to be made anew, and what can be read and written until then."""
        with engine.snapshot() as tx:
            self.judge(tx)

    def judge(self, tx: Transaction) -> None:
        """As `look`, in a transaction: a server that took over may have lost what was made anew."""
        found, head = made(tx), recorder.head(tx).position
        for projection in self.projections:
            self.outdated.pop(projection.name, None)
            if isinstance(self.stopped.get(projection.name), BeingBuilt):
                del self.stopped[projection.name]
            if head:
                self._judge(tx, projection, found.get(projection.name), head)

    def _judge(
        self, tx: Transaction, projection: Projection, found: Made | None, head: int
    ) -> None:
        name = projection.name
        if found is None:
            why = "it has never been made"
        elif not all(fits(tx, table) for table in projection.tables):
            why = f"version {found.version} of it had other columns"
        elif projection.servable_since <= found.version < projection.version:
            self.outdated[name] = f"its rows are of version {found.version}"
            return
        elif found.version != projection.version:
            why = f"its rows are of version {found.version}, and of no use to {projection.version}"
        elif head - found.position > AT_ONCE_POSITIONS:
            why = f"it is at position {found.position} of the log, which goes to {head}"
        else:
            return
        self.outdated[name] = why
        self.stopped[name] = BeingBuilt(f"The read model of {name} is being made: {why}.")

    def report_progress(self, names: Sequence[str], position: int, head: int) -> None:
        """How far those have come that are being made."""
        for name in names:
            if isinstance(self.stopped.get(name), BeingBuilt):
                sentence = f"The read model of {name} is being made: at position {position} of the"
                self.stopped[name] = BeingBuilt(f"{sentence} log, which goes to {head}.")

    def give_up(self, name: str, why: str) -> None:
        """A projection cannot be made anew; what can be served is served on."""
        self.outdated.pop(name, None)
        self.given_up[name] = why
        if name in self.stopped:
            self.stopped[name] = Stopped(why)

    def must_go_on(self) -> None:
        """Raise `Stopped` where one of the tables does not say what the log says."""
        for stopped in list(self.stopped.values()):
            raise type(stopped)(str(stopped))

    def project(self, tx: Transaction, events: Sequence[Recorded]) -> None:
        """Bring all tables up to date with events that are being appended. Raises `Stopped`."""
        self.must_go_on()
        tables = StoredTables(tx)
        for recorded in events:
            for projection in self._handlers.by(recorded.event.TOPIC):
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
        self.must_go_on()
        for projection in self.projections:
            while stored_position(tx, projection.name) < position and self._project_some(
                tx, projection
            ):
                pass
        self.must_go_on()

    def catch_up(self, engine: Engine) -> None:
        """Project what the log has beyond each projection's position, in batches.

        What is to be made anew is so at once where the log is short, else left to somebody else.
        One that cannot handle an event stops there, for as long as this process runs; it is never
        skipped. The others go on.
        """
        self._build_at_once(engine)
        for projection in self.projections:
            while projection.name not in self.stopped and self._catch_up_some(engine, projection):
                pass

    def _build_at_once(self, engine: Engine) -> None:
        missing = [each for each in self.projections if each.name in self.stopped]
        with engine.snapshot() as tx:
            is_short = recorder.head(tx).position <= AT_ONCE_POSITIONS
        if not missing or not is_short:
            return
        with Scratch(None, missing) as scratch:
            rebuilt = rebuild(engine, missing, scratch)
        self.look(engine)
        for name, halt in rebuilt.stops.items():
            self.give_up(name, halt.why)

    def _catch_up_some(self, engine: Engine, projection: Projection) -> bool:
        with engine.append(LOCK_TIMEOUT_S) as appending:
            found = self._project_some(appending.tx, projection)
            if found:
                appending.commit()
        return found

    def _project_some(self, tx: Transaction, projection: Projection) -> bool:
        """Project the next entries beyond a projection's position; False where there are none."""
        begin = stored_position(tx, projection.name)
        rows = recorder.rows(tx, begin, CATCH_UP_EVENTS)
        tables = StoredTables(tx)
        fold = Fold((projection,), tables, begin)
        fold.add(rows)
        halt = fold.stops.get(projection.name)
        if halt is not None:
            self.stopped[projection.name] = Stopped(halt.why)
            # Once more, without what that event had changed already.
            rows = [row for row in rows if row[0] < halt.position]
            tables = StoredTables(tx)
            Fold((projection,), tables, begin).add(rows)
        if not rows:
            return False
        tables.flush()
        tx.execute(SAVE_POSITION, (projection.name, projection.version, rows[-1][0]))
        return True


def _kinds(projection: Projection) -> list[str]:
    """The kinds of aggregates whose events it handles."""
    return sorted({event.TOPIC.partition(".")[0] for event in projection.handles})
