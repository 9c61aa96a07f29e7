"""Everything that reads and writes the database, opened in the order of need."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from domain.log.clock import LogClock
from domain.log.continuity import Continuity, Loss
from domain.log.engine import Engine, OtherLog, PersistenceError, Place
from domain.log.follower import Follower
from domain.log.recorder import LogRecorder, newest
from domain.log.rights import LOG, tables_created_by
from domain.log.schema import TREE_TABLES
from domain.log.writer import Writer
from projections.all import PROJECTIONS, beside_the_log
from projections.past.past_reads import PastReads
from projections.projection import positions_schema
from projections.reads import Reads, reads
from projections.rebuilding.live_tables import LiveTables
from projections.rebuilding.on_demand import Verifying
from runners.database.log_watch import LogWatch, known_log
from runners.database.opening import gated, open_engine, scrub, start_writer
from runners.os_support.log_lines import ServiceLog
from runners.proof.mark import Mark
from runners.proof.misfit import Misfit
from runners.proof.notary import Notary
from runners.security.vault import TABLE as VAULT
from runners.security.vault import Vault, WrongMasterKey
from runners.service.fleet_reader import FleetReader
from runners.service.marked_log import (
    mark_of,
    must_be_accepted,
    say_that_it_went_back,
    sign_up_to,
)
from runners.service.prerequisites import EXIT_WRONG_SETTING, CannotServe
from runners.settings.settings import Settings


@dataclass(frozen=True)
class Storage:
    """The database of a service that runs."""

    engine: Engine
    live_tables: LiveTables
    log_reads: Reads
    """For what is read from the log alone, which goes on where a read model cannot."""
    answers: Reads
    """For what is read from the read models."""
    past: PastReads
    verifying: Verifying
    notary: Notary
    mark: Mark | None
    """Beside a database file."""
    misfit: Misfit | None
    """What an operator went on with knowingly."""
    fleet: FleetReader
    writer: Writer
    log_watch: LogWatch
    clock: LogClock
    head: Place
    """The newest entry at the start."""
    followers: list[Follower] = field(default_factory=list)

    @property
    def tables(self) -> list[str]:
        """What it needs of the database."""
        read_models = [table.name for each in PROJECTIONS for table in each.tables]
        others = tables_created_by(
            (positions_schema(self.engine.name), *beside_the_log(self.engine.name))
        )
        return [LOG, *TREE_TABLES, VAULT, *others, *read_models]

    def follow(self, of: Reads | None = None) -> Follower:
        """A reader of the log, from the head at the start."""
        self.followers.append(Follower(self.head.position, self.log_watch.pull(of or self.answers)))
        return self.followers[-1]

    def begin_anew(self, loss: Loss) -> None:
        """Forget what is remembered of a log that went back."""
        for follower in self.followers:
            follower.begin_anew(loss.found.position)
        self.past.forget()
        self.fleet.forget()


def open_storage(
    settings: Settings, vault: Vault, lines: ServiceLog, stack: AsyncExitStack
) -> Storage:
    """Open the database and start the writer; both end with the stack."""
    engine = open_engine(settings, stack, lines)
    continuity = Continuity(known_log(settings), settings.accept_log)
    notary = Notary(vault)
    live_tables, found = _open_database(engine, vault, notary, continuity)
    mark = mark_of(settings, engine, notary)
    misfit = must_be_accepted(settings, engine, mark, notary, continuity.known, lines)
    clock = _clock(settings, found, lines)
    sign = partial(sign_up_to, engine, notary)
    log_watch = LogWatch(continuity, settings.known_log_file, lines.write, sign)
    log_reads = reads(engine, settings.command_timeout_s)
    stack.callback(log_reads.close)
    answers = gated(log_reads, live_tables, lines)
    past = PastReads(engine)
    stack.callback(past.close)
    verifying = Verifying(engine, PROJECTIONS)
    stack.callback(verifying.close)
    followers: list[Follower] = []
    writer = start_writer(settings, engine, live_tables, followers, lines, log_watch, clock)
    stack.push_async_callback(asyncio.to_thread, writer.stop)
    if mark is not None:
        writer.on_tree = mark.note
    if misfit is not None:
        say_that_it_went_back(writer, misfit)
        log_watch.keep()  # a crash from here on asks nobody to accept it again
    if misfit is not None and mark is not None:
        mark.begin_anew()
    fleet = FleetReader(answers, vault)
    storage = Storage(
        engine,
        live_tables,
        log_reads,
        answers,
        past,
        verifying,
        notary,
        mark,
        misfit,
        fleet,
        writer,
        log_watch,
        clock,
        found,
        followers,
    )
    log_watch.forget.append(storage.begin_anew)
    return storage


def _clock(settings: Settings, found: Place, lines: ServiceLog) -> LogClock:
    """The clock that stamps the log; said, or refused, where it is far from the log's times."""
    clock = LogClock()
    how, sentence = clock.why_away(found)
    if how and settings.refuse_wrong_clock:
        raise CannotServe(f"{sentence} Set the clock, or start without --refuse-wrong-clock.")
    if how:
        lines.write(f"clock.{how}", level="warning", reason=sentence)
    clock.is_set_back(found)  # what is behind counts from here on
    return clock


def _open_database(
    engine: Engine, vault: Vault, notary: Notary, continuity: Continuity
) -> tuple[LiveTables, Place]:
    """Tables that are there and read models that are up to date, and how far the log goes."""
    live_tables = LiveTables(PROJECTIONS)
    try:
        LogRecorder(engine).create_table()
        with engine.snapshot() as tx:
            found = newest(tx)
            if continuity.compare(tx, found) is None:  # else the writer says so, before all else
                continuity.advance(found, tx.server)
        live_tables.create_tables(engine)
        engine.execute_schema(beside_the_log(engine.name))
        vault.open(engine)
        notary.open(engine)
        live_tables.catch_up(engine)
        scrub(engine)
        with engine.snapshot() as tx:
            return live_tables, newest(tx)
    except OtherLog as other:
        raise CannotServe(str(other)) from None
    except WrongMasterKey as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None
    except PersistenceError as error:
        raise CannotServe(f"the database cannot be used: {error}") from None
