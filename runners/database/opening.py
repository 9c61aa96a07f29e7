"""Opens the database of a service, and starts the writer on it."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from domain.aggregates.host_events import Failed
from domain.event import Recorded
from domain.log.clock import LogClock
from domain.log.engine import Engine, OperationalError
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.follower import Follower
from domain.log.writer import Writer
from projections.reads import GatedReads, Reads
from projections.rebuilding.live_tables import LiveTables
from runners.database.log_watch import LogWatch
from runners.os_support.log_lines import ServiceLog
from runners.settings.settings import Settings


def open_engine(settings: Settings, stack: AsyncExitStack, lines: ServiceLog) -> Engine:
    """The database of the settings, closed with the stack."""
    engine: Engine
    if settings.database_url is None:
        engine = SQLiteEngine(settings.database_file)
    else:
        # Only here: its driver takes nine megabytes.
        from domain.log.engines.postgres import PostgresEngine

        engine = PostgresEngine(
            settings.database_url,
            connections_max=settings.database_connections,
            on_use=lambda host: lines.write("database.connected", host=host),
        )
    stack.callback(engine.close)
    return engine


def gated(log_reads: Reads, live_tables: LiveTables, lines: ServiceLog) -> Reads:
    """What GET reads of read models; nothing, while one has stopped."""
    for name, stopped in live_tables.stopped.items():
        lines.write("projection.stopped", level="error", projection=name, reason=str(stopped))
    return GatedReads(log_reads, live_tables.must_go_on)


def scrub(engine: Engine) -> None:
    """Finish what a process that died after a deletion had left readable in the files."""
    with suppress(OperationalError):  # a reader is in the way; the next deletion scrubs as well
        engine.scrub()


def start_writer(
    settings: Settings,
    engine: Engine,
    live_tables: LiveTables,
    followers: Sequence[Follower],
    lines: ServiceLog,
    log_watch: LogWatch,
    clock: LogClock,
) -> Writer:
    loop = asyncio.get_running_loop()

    def on_commit(previous: int, recorded: Sequence[Recorded]) -> None:
        for position, _, event in recorded:
            told: dict[str, object] = {
                "position": position,
                "type": event.TOPIC,
                "subject": event.originator_id,
                "actor": event.actor,
                "correlation": event.correlation,
            }
            if isinstance(event, Failed):
                told["reason"] = event.reason
            lines.write("change", "info", **told)
        for follower in followers:
            loop.call_soon_threadsafe(follower.push, previous, recorded)

    writer = Writer(
        engine,
        live_tables,
        timeout_s=settings.command_timeout_s,
        on_commit=on_commit,
        on_loss=log_watch.on_loss,
        continuity=log_watch.continuity,
        clock=clock,
    )
    log_watch.writer = writer
    writer.start()
    return writer
