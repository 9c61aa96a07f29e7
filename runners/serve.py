"""The composition root: every part is made here, given its collaborators, started, and stopped."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import uvloop
from eventsourcing.persistence import OperationalError, PersistenceError

from domain.event import Recorded
from domain.host import Failed
from domain.log.engine import Engine
from domain.log.follower import Follower, Pull, after
from domain.log.recorder import LogRecorder, head, now
from domain.log.sqlite import SQLiteEngine
from domain.log.writer import Writer
from projections import clusters
from projections.all import PROJECTIONS, beside_the_log
from projections.past_reads import PastReads
from projections.read_models import ReadModels
from projections.reads import GatedReads, Reads, reads
from runners import authenticators, metrics, readiness, removals
from runners.bootstrap_lists import Lists, WrongSteps, read_lists
from runners.checkpointer import Checkpointer
from runners.claims import ALONE, Claims
from runners.container_managers import ContainerManagers
from runners.crew import Crew
from runners.data_lock import DataDirectoryTaken, DataLock
from runners.fleet_hosts import FleetHosts
from runners.host_runners import (
    make_investigator,
    make_node_reports,
    make_registrar,
    make_rolling,
    make_sources,
    make_ssh,
    make_watcher,
    oldest_report,
)
from runners.keys import read_private_key
from runners.lease_table import LeaseTable
from runners.leases import Leases
from runners.listening import Listening, tls_of
from runners.log_lines import LogLines, bridge_logging
from runners.login_trial import SshLoginTrial
from runners.memory import give_back_large_blocks, keep_what_is_there
from runners.observer import Observer
from runners.probe import Probe
from runners.rebuilding import Rebuilding
from runners.server import CannotListen, Server
from runners.settings import Settings
from runners.source_plugins import ConfiguredSource, WrongSource, open_sources
from runners.tls import Tls, WrongTls
from runners.users import UsersFile, hash_password
from runners.vault import Vault, WrongMasterKey, master_key
from web.app import application
from web.authentication import Authentication
from web.clients import Clients
from web.front import Front
from web.health import Observation
from web.live import Live
from web.password_queue import PasswordQueue
from web.requests import Limits as RequestLimits
from web.tallies import Tallies

if TYPE_CHECKING:
    from domain.log.postgres import PostgresEngine

DATA_MODE = 0o700
STOP_SHARE = 0.5
"""Of the time to stop, what requests and looks may take; the rest is for ending what did not end
by itself, and for the writer."""
ADMIN_PASSWORD_BYTES = 18
SWITCH_INTERVAL_S = 0.0001
"""How long a thread may keep the interpreter while others wait for it. Python's own 5 ms would make
every request wait that long several times, wherever a thread reads a long body or list."""

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_WRONG_SETTING = 2


class CannotServe(Exception):
    """Why the service does not start, in one line, and the exit status for it."""

    def __init__(self, sentence: str, status: int = EXIT_FAILED) -> None:
        super().__init__(sentence)
        self.status = status


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit status of the process."""
    give_back_large_blocks()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    lines = LogLines(sys.stderr.fileno(), settings.log_format)
    bridge_logging(lines)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, lines))
    except CannotServe as error:
        print(f"commissaire: {error}", file=sys.stderr)
        return error.status
    finally:
        lines.close()
    return EXIT_STOPPED


async def _serve(settings: Settings, lines: LogLines) -> None:
    stopping, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with service(settings, lines) as running:
        keep_what_is_there()
        print(f"Commissaire serves on {running.address}", flush=True)
        lines.line("started", address=running.address, database=settings.database_shown)
        reloading = asyncio.create_task(_reload(hangup, running.reload), name="reload")
        await _until(stopping, (reloading, *running.runners))
        reloading.cancel()
        lines.line("stopping")
    lines.line("stopped")


async def _reload(hangup: asyncio.Event, reload: Callable[[], None]) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        reload()


async def _until(stopping: asyncio.Event, runners: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal, or for a runner that ended: it has a defect, and is not left alone."""
    waiting = asyncio.create_task(stopping.wait(), name="signals")
    running = {waiting, *runners}
    while waiting in running:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            await task  # what has nothing left to do ends quietly


@dataclass(frozen=True)
class Service:
    """A service that runs."""

    address: str
    """The URL that it answers at."""
    runners: tuple[asyncio.Task[None], ...]
    reload: Callable[[], None]
    """Read again what is not read again by itself: the files of TLS."""


@asynccontextmanager
async def service(settings: Settings, lines: LogLines) -> AsyncIterator[Service]:
    """Everything, started in the order of need and stopped in reverse."""
    async with AsyncExitStack() as stack:
        tls = _tls(settings)
        _hold_data_directory(settings, stack)
        configured = _sources(settings)
        steps = _steps(settings)
        users = _users(settings, lines)
        vault = _vault(settings, lines)
        engine = _open_engine(settings, stack)
        read_models, position = _open_database(engine, vault)
        log_reads = reads(engine, settings.command_timeout_s)
        stack.callback(log_reads.close)
        answers = _gated(log_reads, read_models, lines)
        past = PastReads(engine)
        stack.callback(past.close)
        known = FleetHosts(answers, vault)
        followers: list[Follower] = []
        writer = _start_writer(settings, engine, read_models, followers, lines)
        stack.push_async_callback(asyncio.to_thread, writer.stop)
        observer = Observer(Probe(engine))
        stack.push_async_callback(observer.probe.close)
        observer.watch_database(read_models, writer)
        observer.watch_files(settings, users, writer, lines)

        def follow(pull: Pull = known.entries_after) -> Follower:
            followers.append(Follower(position, pull))
            return followers[-1]

        ssh = make_ssh(settings)
        crew = Crew(stack, observer, follow, lines.line)
        crew.run("rebuilding", Rebuilding(settings, engine, read_models, lines.line).run())
        live = Live(position)
        crew.add("events", live, follow(partial(log_reads.fresh, after)))
        if settings.runners:
            claims = await _claims(settings, engine, crew, observer, stack, lines)
            observer.collectors.append(metrics.leases(claims))
            investigator = make_investigator(settings, writer, known, ssh, lines, claims, steps)
            crew.add("investigator", investigator)
            crew.add("watcher", make_watcher(settings, writer, known, ssh, lines, claims))
            managers = ContainerManagers(known)
            stack.push_async_callback(managers.aclose)
            rolling = make_rolling(settings, writer, known, ssh, managers, lines, claims)
            crew.add("rolling", rolling)
            registrar = make_registrar(writer, vault, known, managers, lines, claims)
            crew.add("registrar", registrar)
            observer.collectors.append(metrics.container_managers(managers.results, registrar))
            reports = make_node_reports(settings, writer, known, managers, lines, claims)
            crew.run("node-reports", reports.run())
            inventories = make_sources(configured, writer, known, lines, claims)
            crew.add("sources", inventories)
            observer.collectors.append(metrics.sources(inventories))
            crew.run("checkpointer", Checkpointer(engine, writer, now, claims=claims).run())
            half_removed = partial(answers.fresh, clusters.half_removed)
            crew.run("removals", removals.run(writer, half_removed, now, claims))
        queue = PasswordQueue(settings.failed_logins_per_minute)
        stack.callback(queue.close)
        tallies = Tallies()
        authentication = _authentication(settings, users, queue, lines)
        app = application(
            writer,
            answers,
            log_reads,
            past,
            vault,
            lambda raw: read_private_key(raw).fingerprint,
            authentication,
            lines.line,
            try_login=SshLoginTrial(ssh),
            log_requests=settings.log_requests,
            clients=Clients(settings.trusted_proxy),
            sources=settings.sources.keys(),
            limits=RequestLimits(settings.body_bytes_max, settings.body_timeout_s),
            observation=Observation(
                authentication, observer.parts, observer.figures, settings.observers
            ),
            tallies=tallies,
            live=live,
            listeners_max=settings.listeners_max,
            oldest_report=partial(oldest_report, settings),
            elsewhere=settings.runners_only,
        )
        listening = await _listen(settings, app, tls, lines)
        observer.collectors += [
            metrics.http(tallies, queue),
            metrics.connections(listening.server),
            metrics.streams(live),
            metrics.ssh(ssh),
        ]
        stack.push_async_callback(
            _wind_down,
            listening.server,
            crew,
            settings.shutdown_timeout_s * STOP_SHARE,
        )
        yield Service(listening.address, tuple(crew.tasks), listening.reload)


async def _claims(
    settings: Settings,
    engine: Engine,
    crew: Crew,
    observer: Observer,
    stack: AsyncExitStack,
    lines: LogLines,
) -> Claims:
    """Who else there may be: nobody on SQLite, any number of processes on PostgreSQL."""
    if engine.name == "sqlite":
        return ALONE
    table = LeaseTable(cast("PostgresEngine", engine), settings.lease_s)
    stack.callback(table.close)
    leases = Leases(table, settings.lease_s, log=lines.line)
    try:
        table.create()
    except PersistenceError as error:
        raise CannotServe(f"the database cannot be used: {error}") from None
    await leases.start()
    crew.run("leases", leases.run())
    crew.when_stopped = leases.resign
    observer.checks["leases"] = readiness.leases(leases, observer.checks["leases"])
    return leases


def _hold_data_directory(settings: Settings, stack: AsyncExitStack) -> None:
    try:
        settings.data.mkdir(mode=DATA_MODE, parents=True, exist_ok=True)
        if settings.database is None:  # a PostgreSQL database may be served by several processes
            stack.enter_context(DataLock(settings.data))
    except DataDirectoryTaken as taken:
        raise CannotServe(str(taken)) from None
    except OSError as error:
        raise CannotServe(f"--data {settings.data}: {error.strerror}", EXIT_WRONG_SETTING) from None


def _users(settings: Settings, lines: LogLines) -> UsersFile:
    """The users; a fresh data directory gets an admin, whose password is shown this once."""
    users = UsersFile(
        settings.users_file,
        lambda broken: lines.line("users_file.broken", level="error", reason=str(broken)),
    )
    if not settings.users_file.exists():
        if settings.users is not None:
            sentence = f"--users {settings.users}: there is no such file (`commissaire user add`)"
            raise CannotServe(sentence, EXIT_WRONG_SETTING)
        password = secrets.token_urlsafe(ADMIN_PASSWORD_BYTES)
        users.add("admin", hash_password(password), "admin")
        print(f"The password of admin, shown only now: {password}", flush=True)
        lines.line("user_added", user="admin", role="admin")
    return users


def _sources(settings: Settings) -> list[ConfiguredSource]:
    try:
        return open_sources(settings.sources, os.environ)
    except WrongSource as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None


def _steps(settings: Settings) -> Lists | None:
    try:
        return read_lists(settings.bootstrap)
    except WrongSteps as wrong:
        raise CannotServe(
            f"--bootstrap {settings.bootstrap}: {wrong}", EXIT_WRONG_SETTING
        ) from None


def _vault(settings: Settings, lines: LogLines) -> Vault:
    given = settings.master_key.get_secret_value() if settings.master_key else None
    file = settings.vault_key_file
    # A new key would open nothing, and stand where the right one is to be put.
    if given is None and _has_sqlite_database(settings) and not file.exists():
        sentence = f"the master key {file} is missing, and {settings.database_file} needs its own"
        raise CannotServe(f"{sentence}: put it back from its copy", EXIT_WRONG_SETTING)
    try:
        key = master_key(given, file)
    except WrongMasterKey as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None
    return Vault(key, lambda subject, reader: lines.line("secret_read", subject=subject, by=reader))


def _has_sqlite_database(settings: Settings) -> bool:
    return settings.database is None and settings.database_file.exists()


def _open_engine(settings: Settings, stack: AsyncExitStack) -> Engine:
    engine: Engine
    if settings.database_url is None:
        engine = SQLiteEngine(settings.database_file)
    else:
        # Only here: its driver takes nine megabytes.
        from domain.log.postgres import PostgresEngine

        engine = PostgresEngine(settings.database_url)
    stack.callback(engine.close)
    return engine


def _open_database(engine: Engine, vault: Vault) -> tuple[ReadModels, int]:
    """Tables that are there and read models that are up to date, and how far the log goes."""
    read_models = ReadModels(PROJECTIONS)
    try:
        LogRecorder(engine).create_table()
        read_models.create_tables(engine)
        engine.execute_schema(beside_the_log(engine.name))
        vault.open(engine)
        read_models.catch_up(engine)
        _scrub(engine)
        with engine.snapshot() as tx:
            return read_models, head(tx).position
    except WrongMasterKey as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None
    except PersistenceError as error:
        raise CannotServe(f"the database cannot be used: {error}") from None


def _gated(log_reads: Reads, read_models: ReadModels, lines: LogLines) -> Reads:
    """What GET reads of read models; nothing, while one has stopped."""
    for name, stopped in read_models.stopped.items():
        lines.line("projection.stopped", level="error", projection=name, reason=str(stopped))
    return GatedReads(log_reads, read_models.must_go_on)


def _scrub(engine: Engine) -> None:
    """Finish what a process that died after a deletion had left readable in the files."""
    with suppress(OperationalError):  # a reader is in the way; the next deletion scrubs as well
        engine.scrub()


def _start_writer(
    settings: Settings,
    engine: Engine,
    read_models: ReadModels,
    followers: Sequence[Follower],
    lines: LogLines,
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
            lines.line("change", "info", **told)
        for follower in followers:
            loop.call_soon_threadsafe(follower.push, previous, recorded)

    writer = Writer(engine, read_models, timeout_s=settings.command_timeout_s, on_commit=on_commit)
    writer.start()
    return writer


async def _wind_down(server: Server, crew: Crew, timeout_s: float) -> None:
    """Let requests, looks and questions come to an end, side by side."""
    async with asyncio.TaskGroup() as group:
        group.create_task(server.stop(timeout_s))
        group.create_task(crew.wind_down(timeout_s))


def _authentication(
    settings: Settings, users: UsersFile, queue: PasswordQueue, lines: LogLines
) -> Authentication:
    try:
        return authenticators.authentication(settings, users, queue, lines, os.environ)
    except authenticators.WrongAuthenticator as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None


def _tls(settings: Settings) -> Tls | None:
    try:
        return tls_of(settings)
    except WrongTls as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None


async def _listen(settings: Settings, app: Front, tls: Tls | None, lines: LogLines) -> Listening:
    listening = Listening(settings, app, tls, lines)
    try:
        await listening.start()
    except CannotListen as error:
        raise CannotServe(str(error)) from None
    return listening
