"""The composition root: every part is made here, and given its collaborators."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from starlette.types import ASGIApp

from domain.log.continuity import Continuity, Loss
from domain.log.engine import NOWHERE, Engine, OtherLog, PersistenceError, Place
from domain.log.engine import Server as DatabaseServer
from domain.log.follower import Follower
from domain.log.recorder import LogRecorder, head, newest, now
from projections import clusters
from projections.all import PROJECTIONS, beside_the_log
from projections.past.past_reads import PastReads
from projections.reads import Reads, reads
from projections.rebuilding.live_tables import LiveTables
from runners.bootstrapping.step_files import Lists, WrongSteps, read_lists
from runners.container_managers.connections import ContainerManagers
from runners.database.checkpointer import Checkpointer
from runners.database.log_watch import LogWatch, known_before
from runners.database.opening import gated, open_engine, scrub, start_writer
from runners.database.rebuild_supervisor import Rebuilding
from runners.hosts.login_trial import SshLoginTrial
from runners.http_server.listener import Listener, tls_of
from runners.http_server.server import CannotListen, Server
from runners.http_server.tls import Tls, WrongTls
from runners.leases.lease_table import LeaseTable
from runners.leases.leases import Leases
from runners.leases.ownership import Ownership, SingleProcess
from runners.observability import metrics, readiness
from runners.observability.database_probe import DatabaseProbe
from runners.observability.observer import Observer
from runners.operations import cluster_removals
from runners.os_support.directory_lock import DataDirectoryTaken, DataLock
from runners.os_support.log_lines import ServiceLog
from runners.security import authenticators
from runners.security.private_keys import read_private_key
from runners.security.users import UsersFile, hash_password
from runners.security.vault import Vault, WrongMasterKey, master_key
from runners.service.factories import (
    make_investigator,
    make_node_reports,
    make_operation_driver,
    make_registrar,
    make_sources,
    make_ssh,
    make_watcher,
    oldest_report,
)
from runners.service.fleet_reader import FleetReader
from runners.service.supervisor import Supervisor
from runners.settings.settings import Settings
from runners.sources.plugins import ConfiguredSource, WrongSource, open_sources
from web.app import HostKeys, Options, RequestLog, Stores, application
from web.authentication.authentication import Authentication
from web.authentication.password_queue import PasswordQueue
from web.events.live_window import EventWindow
from web.http.clients import Clients
from web.http.request_counts import RequestCounts
from web.http.requests import Limits as RequestLimits
from web.resources.health import Observation

if TYPE_CHECKING:
    from domain.log.postgres import PostgresEngine

DATA_MODE = 0o700

STOP_SHARE = 0.5
"""Of the time to stop, what requests and looks may take; the rest is for ending what did not end
by itself, and for the writer."""

ADMIN_PASSWORD_BYTES = 18

EXIT_FAILED = 1

EXIT_WRONG_SETTING = 2


class CannotServe(Exception):
    """Why the service does not start, in one line, and the exit status for it."""

    def __init__(self, sentence: str, status: int = EXIT_FAILED) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Service:
    """A service that runs."""

    address: str
    """The URL that it answers at."""
    runners: tuple[asyncio.Task[None], ...]
    reload: Callable[[], None]
    """Read again what is not read again by itself: the files of TLS."""
    announce_stop: Callable[[], None]
    """Have `/readyz` say that it will serve no more."""


@asynccontextmanager
async def service(settings: Settings, lines: ServiceLog) -> AsyncIterator[Service]:
    """Everything, started in the order of need and stopped in reverse."""
    async with AsyncExitStack() as stack:
        tls = _tls(settings)
        _hold_data_directory(settings, stack)
        configured = _sources(settings)
        steps = _steps(settings)
        users = _users(settings, lines)
        vault = _vault(settings, lines)
        engine = open_engine(settings, stack, lines)
        continuity = Continuity(*_known_log(settings), settings.accept_log)
        live_tables, position = _open_database(engine, vault, continuity)
        log_watch = LogWatch(continuity, settings.known_log_file, lines.write)
        log_reads = reads(engine, settings.command_timeout_s)
        stack.callback(log_reads.close)
        answers = gated(log_reads, live_tables, lines)
        past = PastReads(engine)
        stack.callback(past.close)
        known = FleetReader(answers, vault)
        followers: list[Follower] = []
        writer = start_writer(settings, engine, live_tables, followers, lines, log_watch)
        stack.push_async_callback(asyncio.to_thread, writer.stop)
        observer = Observer(DatabaseProbe(engine))
        stack.push_async_callback(observer.probe.close)
        observer.watch_database(live_tables, writer)
        observer.watch_files(settings, users, writer, lines)

        def follow(of: Reads = answers) -> Follower:
            followers.append(Follower(position, log_watch.pull(of)))
            return followers[-1]

        ssh = make_ssh(settings)
        supervisor = Supervisor(stack, observer, follow, lines.write)
        supervisor.run("log", log_watch.run())
        observer.watch_log(log_watch)
        supervisor.run("rebuilding", Rebuilding(settings, engine, live_tables, lines.write).run())
        window = EventWindow(position)
        supervisor.add("events", window, follow(log_reads))
        log_watch.forget += [
            lambda loss: _begin_anew(followers, loss),
            lambda loss: window.begin_anew(loss.found.position, loss.common),
            lambda loss: past.forget(),
            lambda loss: known.forget(),
        ]
        if settings.runners:
            ownership = await _ownership_of(settings, engine, supervisor, observer, stack, lines)
            log_watch.forget.append(lambda loss: ownership.begin_anew())
            observer.collectors.append(metrics.leases(ownership))
            investigator = make_investigator(settings, writer, known, ssh, lines, ownership, steps)
            supervisor.add("investigator", investigator)
            supervisor.add("watcher", make_watcher(settings, writer, known, ssh, lines, ownership))
            managers = ContainerManagers(known)
            stack.push_async_callback(managers.aclose)
            rolling = make_operation_driver(
                settings, writer, known, ssh, managers, lines, ownership
            )
            supervisor.add("rolling", rolling)
            registrar = make_registrar(writer, vault, known, managers, lines, ownership)
            supervisor.add("registrar", registrar)
            observer.collectors.append(metrics.container_managers(managers.results, registrar))
            reports = make_node_reports(settings, writer, known, managers, lines, ownership)
            supervisor.run("node-reports", reports.run())
            inventories = make_sources(configured, writer, known, lines, ownership)
            supervisor.add("sources", inventories)
            observer.collectors.append(metrics.sources(inventories))
            supervisor.run(
                "checkpointer", Checkpointer(engine, writer, now, ownership=ownership).run()
            )
            half_removed = partial(answers.fresh, clusters.half_removed)
            supervisor.run("removals", cluster_removals.run(writer, half_removed, now, ownership))
        queue = PasswordQueue(settings.failed_logins_per_minute)
        stack.callback(queue.close)
        request_counts = RequestCounts()
        authentication = _authentication(settings, users, queue, lines)
        app = application(
            Stores(writer, answers, log_reads, past),
            HostKeys(vault, lambda raw: read_private_key(raw).fingerprint, SshLoginTrial(ssh)),
            authentication,
            RequestLog(lines.write, settings.log_requests, request_counts),
            _options(settings, window),
            Observation(authentication, observer.parts, observer.figures, settings.observers),
        )
        listener = await _listen(settings, app, tls, lines)
        observer.collectors += [
            metrics.http(request_counts, queue),
            metrics.connections(listener.server),
            metrics.streams(window),
            metrics.ssh(ssh),
        ]
        stack.push_async_callback(
            _wind_down,
            listener.server,
            supervisor,
            settings.shutdown_timeout_s * STOP_SHARE,
        )
        yield Service(
            listener.address, tuple(supervisor.tasks), listener.reload, observer.announce_stop
        )


def _options(settings: Settings, window: EventWindow) -> Options:
    return Options(
        clients=Clients(settings.trusted_proxy),
        limits=RequestLimits(settings.body_bytes_max, settings.body_timeout_s),
        sources=settings.sources.keys(),
        window=window,
        listeners_max=settings.listeners_max,
        oldest_report=partial(oldest_report, settings),
        elsewhere=settings.runners_only,
    )


async def _ownership_of(
    settings: Settings,
    engine: Engine,
    supervisor: Supervisor,
    observer: Observer,
    stack: AsyncExitStack,
    lines: ServiceLog,
) -> Ownership:
    """Who else there may be: nobody on SQLite, any number of processes on PostgreSQL."""
    if engine.name == "sqlite":
        return SingleProcess()
    table = LeaseTable(cast("PostgresEngine", engine), settings.lease_s)
    stack.callback(table.close)
    leases = Leases(table, settings.lease_s, log=lines.write)
    try:
        table.create()
    except PersistenceError as error:
        raise CannotServe(f"the database cannot be used: {error}") from None
    await leases.start()
    supervisor.run("leases", leases.run())
    supervisor.when_stopped = leases.resign
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


def _users(settings: Settings, lines: ServiceLog) -> UsersFile:
    """The users; a fresh data directory gets an admin, whose password is shown this once."""
    users = UsersFile(
        settings.users_file,
        lambda broken: lines.write("users_file.broken", level="error", reason=str(broken)),
    )
    if not settings.users_file.exists():
        if settings.users is not None:
            sentence = f"--users {settings.users}: there is no such file (`commissaire user add`)"
            raise CannotServe(sentence, EXIT_WRONG_SETTING)
        password = secrets.token_urlsafe(ADMIN_PASSWORD_BYTES)
        users.add("admin", hash_password(password), "admin")
        print(f"The password of admin, shown only now: {password}", flush=True)
        lines.write("user_added", user="admin", role="admin")
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


def _vault(settings: Settings, lines: ServiceLog) -> Vault:
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
    return Vault(
        key, lambda subject, reader: lines.write("secret_read", subject=subject, by=reader)
    )


def _has_sqlite_database(settings: Settings) -> bool:
    return settings.database is None and settings.database_file.exists()


def _known_log(settings: Settings) -> tuple[Place, DatabaseServer | None]:
    """What an earlier process knew of the log; of a file nothing is kept, it has no servers."""
    return (NOWHERE, None) if settings.database is None else known_before(settings.known_log_file)


def _begin_anew(followers: Sequence[Follower], loss: Loss) -> None:
    for follower in followers:
        follower.begin_anew(loss.found.position)


def _open_database(engine: Engine, vault: Vault, continuity: Continuity) -> tuple[LiveTables, int]:
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
        live_tables.catch_up(engine)
        scrub(engine)
        with engine.snapshot() as tx:
            return live_tables, head(tx).position
    except OtherLog as other:
        raise CannotServe(str(other)) from None
    except WrongMasterKey as wrong:
        raise CannotServe(str(wrong), EXIT_WRONG_SETTING) from None
    except PersistenceError as error:
        raise CannotServe(f"the database cannot be used: {error}") from None


async def _wind_down(server: Server, supervisor: Supervisor, timeout_s: float) -> None:
    """Let requests, looks and questions come to an end, side by side."""
    async with asyncio.TaskGroup() as group:
        group.create_task(server.stop(timeout_s))
        group.create_task(supervisor.shut_down(timeout_s))


def _authentication(
    settings: Settings, users: UsersFile, queue: PasswordQueue, lines: ServiceLog
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


async def _listen(settings: Settings, app: ASGIApp, tls: Tls | None, lines: ServiceLog) -> Listener:
    listener = Listener(settings, app, tls, lines)
    try:
        await listener.start()
    except CannotListen as error:
        raise CannotServe(str(error)) from None
    return listener
