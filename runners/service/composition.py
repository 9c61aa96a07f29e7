"""The composition root: every part is made here, and given its collaborators."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from domain.log.engine import PersistenceError
from domain.log.recorder import now
from domain.timed_id import timed_id
from projections import clusters
from projections.accounts.register import AccountRegister
from runners.bootstrapping.step_files import Lists
from runners.container_managers.connections import ContainerManagers
from runners.database.checkpointer import Checkpointer
from runners.database.rebuild_supervisor import Rebuilding
from runners.database.tree_builder import TreeBuilder
from runners.gates.gates import Gates
from runners.hosts.login_trial import SshLoginTrial
from runners.http_server.server import Server
from runners.leases.lease_table import TABLES, LeaseTable
from runners.leases.leases import Leases
from runners.leases.ownership import SINGLE_PROCESS, Ownership, SingleProcess
from runners.observability import metrics, readiness
from runners.observability.database_probe import DatabaseProbe
from runners.observability.observer import Observer
from runners.operations import cluster_removals
from runners.os_support.directory_lock import DataLock
from runners.os_support.log_lines import ServiceLog
from runners.proof import daily_checkpoint
from runners.security.accounts import Accounts
from runners.security.local_login import LocalLogin
from runners.security.private_keys import read_private_key
from runners.security.session_uses import SessionUses
from runners.security.vault import Vault
from runners.service.accounts import FirstStart, open_accounts
from runners.service.factories import Factories, make_ssh, oldest_report
from runners.service.known_answers import known_answers
from runners.service.prerequisites import (
    CannotServe,
    authentication_of,
    configured_sources,
    gates_of,
    hold_data_directory,
    keep_data_directory,
    listen,
    open_vault,
    step_files,
    tls_files,
)
from runners.service.storage import Storage, open_storage
from runners.service.supervisor import Supervisor
from runners.settings.settings import Settings
from runners.sources.plugins import ConfiguredSource
from runners.webhooks.reading import WebhookReader
from runners.webhooks.receiver import HttpReceiver
from runners.webhooks.trial import WebhookTrial
from web.app import HostKeys, Options, Stores, application
from web.authentication.basic import BasicAuthentication
from web.authentication.password_queue import PasswordQueue
from web.events.live_window import EventWindow
from web.http.clients import Clients
from web.http.request_counts import RequestCounts
from web.http.requests import Limits as RequestLimits
from web.request_log import RequestLog
from web.resources.accounts.account_book import AccountBook
from web.resources.health import Observation
from web.resources.operations import second_looks

if TYPE_CHECKING:
    from domain.log.engines.postgres import PostgresEngine

STOP_SHARE = 0.5
"""Of the time to stop, what requests and looks may take; the rest is for ending what did not end
by itself, and for the writer."""


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
        tls, lock = tls_files(settings), hold_data_directory(settings, stack)
        configured, steps = configured_sources(settings), step_files(settings)
        gates, vault = gates_of(settings, stack), open_vault(settings, lines)
        storage = open_storage(settings, vault, lines, stack)
        accounts, first_start = await open_accounts(settings, storage, lines)
        observer = _observer(settings, storage, accounts, lines, stack)
        supervisor = Supervisor(stack, observer, storage.follow, lines.write)
        _keep_what_was_opened(supervisor, observer, lock, first_start, lines)
        window = _follow_the_log(settings, storage, supervisor, observer, lines)
        ssh, webhooks = make_ssh(settings), WebhookReader(storage.answers, vault)
        ownership: Ownership = SINGLE_PROCESS
        if settings.runners:
            ownership = await _ownership_of(settings, storage, supervisor, observer, stack, lines)
            make = Factories(settings, storage.writer, storage.fleet, ssh, lines, ownership)
            managers = ContainerManagers(storage.fleet)
            stack.push_async_callback(managers.aclose)
            _look_after_hosts(make, supervisor, managers, steps, gates)
            _speak_to_others(make, supervisor, observer, managers, vault, configured, webhooks)
            _keep_house(storage, supervisor, ownership)
        _keep_tree(storage, supervisor, observer, ownership, lines)
        queue, counts = PasswordQueue(settings.failed_logins_per_minute), RequestCounts()
        stack.callback(queue.close)
        local, basic = LocalLogin(settings, lines), BasicAuthentication(accounts, queue)
        uses = SessionUses(storage.log_reads, storage.writer)
        authentication = authentication_of(settings, accounts, basic, uses, lines, local)
        request_log = RequestLog(lines.gather, settings.log_requests, counts)
        known = known_answers(settings, storage, authentication, request_log, window)
        app = application(
            _stores(storage),
            HostKeys(vault, lambda raw: read_private_key(raw).fingerprint, SshLoginTrial(ssh)),
            authentication,
            request_log,
            _options(settings, storage, window, webhooks, gates),
            AccountBook(accounts, AccountRegister(), storage.writer, queue, basic, now),
            Observation(authentication, observer.parts, observer.figures, settings.observers),
            known,
        )
        serving = await listen(settings, app, tls, lines, known)
        stack.callback(local.withdraw)
        local.announce(serving.address)
        observer.collectors += [
            metrics.http(counts, queue),
            metrics.connections(serving.server),
            metrics.streams(window),
            metrics.ssh(ssh),
        ]
        stack.push_async_callback(_wind_down, serving.server, supervisor, settings)
        yield Service(
            serving.address, tuple(supervisor.tasks), serving.reload, observer.announce_stop
        )


def _stores(storage: Storage) -> Stores:
    return Stores(
        storage.writer, storage.answers, storage.log_reads, storage.past, storage.verifying
    )


def _keep_what_was_opened(
    supervisor: Supervisor,
    observer: Observer,
    lock: DataLock | None,
    first_start: FirstStart | None,
    lines: ServiceLog,
) -> None:
    """Start whoever sees to the data directory, and to accounts that are not taken over yet."""
    if lock is not None:
        supervisor.run("data-lock", partial(keep_data_directory, lock, lines))
        observer.checks["data-lock"] = readiness.data_lock(lock, observer.checks["data-lock"])
    if first_start is not None:
        supervisor.run("accounts", first_start.run)


def _observer(
    settings: Settings,
    storage: Storage,
    accounts: Accounts,
    lines: ServiceLog,
    stack: AsyncExitStack,
) -> Observer:
    """Whoever answers `/readyz` and `/metrics`."""
    observer = Observer(DatabaseProbe(storage.engine, storage.tables))
    stack.push_async_callback(observer.probe.close)
    observer.watch_database(storage.live_tables, storage.writer)
    observer.watch_files(settings, accounts, storage.writer, lines)
    observer.checks["clock"] = readiness.clock(storage.clock, storage.head)
    return observer


def _follow_the_log(
    settings: Settings,
    storage: Storage,
    supervisor: Supervisor,
    observer: Observer,
    lines: ServiceLog,
) -> EventWindow:
    """Start whoever goes along with the log in every process; gives what event streams read."""
    supervisor.run("log", storage.log_watch.run)
    observer.watch_log(storage.log_watch)
    rebuilding = Rebuilding(settings, storage.engine, storage.live_tables, lines.write)
    supervisor.run("rebuilding", rebuilding.run)
    window = EventWindow(storage.head.position)
    supervisor.add("events", window, storage.follow(storage.log_reads))
    storage.log_watch.forget.append(
        lambda loss: window.begin_anew(loss.found.position, loss.common)
    )
    return window


def _look_after_hosts(
    make: Factories,
    supervisor: Supervisor,
    managers: ContainerManagers,
    steps: Lists | None,
    gates: Gates,
) -> None:
    """Start whoever works on hosts over SSH."""
    supervisor.add("investigator", make.investigator(steps))
    supervisor.add("watcher", make.watcher())
    supervisor.add("updates", make.update_scanner())
    supervisor.add("rolling", make.operation_driver(managers, gates))
    supervisor.add("schedules", make.scheduler())


def _speak_to_others(
    make: Factories,
    supervisor: Supervisor,
    observer: Observer,
    managers: ContainerManagers,
    vault: Vault,
    configured: list[ConfiguredSource],
    webhooks: WebhookReader,
) -> None:
    """Start whoever speaks to container managers, to inventories, and to webhooks."""
    registrar = make.node_registrar(managers, vault)
    supervisor.add("registrar", registrar)
    supervisor.run("node-reports", make.node_reports(managers).run)
    inventories = make.source_pollers(configured)
    supervisor.add("sources", inventories)
    sender = make.webhook_sender(webhooks)
    supervisor.add("webhooks", sender)
    observer.collectors += [
        metrics.leases(make.ownership),
        metrics.container_managers(managers.results, registrar),
        metrics.sources(inventories),
        metrics.webhooks(sender),
    ]


def _keep_house(storage: Storage, supervisor: Supervisor, ownership: Ownership) -> None:
    """Start whoever works on the database alone."""
    checkpointer = Checkpointer(storage.engine, storage.writer, now, ownership=ownership)
    supervisor.run("checkpointer", checkpointer.run)
    supervisor.run(
        "notary", partial(daily_checkpoint.run, storage.notary, storage.writer, now, ownership)
    )
    half_removed = partial(storage.answers.fresh, clusters.half_removed)
    supervisor.run(
        "removals", partial(cluster_removals.run, storage.writer, half_removed, now, ownership)
    )


def _keep_tree(
    storage: Storage,
    supervisor: Supervisor,
    observer: Observer,
    ownership: Ownership,
    lines: ServiceLog,
) -> None:
    """Start whoever gives an existing log its tree; two that do are in nobody's way."""
    tree = TreeBuilder(storage.engine, storage.writer, now, lines.write, ownership)
    supervisor.run("tree", tree.run)
    observer.checks["tree"] = readiness.tree(tree, storage.mark, observer.checks["tree"])
    if storage.mark is not None:
        supervisor.run("mark", storage.mark.run)
    if storage.misfit is not None:
        observer.checks["log"] = readiness.accepted(storage.misfit, observer.checks["log"])


def _options(
    settings: Settings,
    storage: Storage,
    window: EventWindow,
    webhooks: WebhookReader,
    gates: Gates,
) -> Options:
    """What the settings say of the API."""
    return Options(
        clients=Clients(settings.trusted_proxy),
        fleet_lock_from=settings.fleet_lock_from,
        limits=RequestLimits(settings.body_bytes_max, settings.body_timeout_s),
        gates=gates.filters,
        ask_gates=gates.ask,
        sources=settings.sources.keys(),
        window=window,
        listeners_max=settings.listeners_max,
        oldest_report=partial(oldest_report, settings),
        elsewhere=settings.runners_only,
        try_webhook=WebhookTrial(webhooks, HttpReceiver(), now, timed_id),
        sign=storage.notary.sign,
        second_look_s=second_looks.LIMIT_S if _somebody_looks(settings) else 0.0,
    )


def _somebody_looks(settings: Settings) -> bool:
    """Whether failed hosts are looked at, in this process or in another."""
    return settings.runners or settings.database is not None


async def _ownership_of(
    settings: Settings,
    storage: Storage,
    supervisor: Supervisor,
    observer: Observer,
    stack: AsyncExitStack,
    lines: ServiceLog,
) -> Ownership:
    """Who else there may be: nobody on SQLite, any number of processes on PostgreSQL."""
    if storage.engine.name == "sqlite":
        alone = SingleProcess()
        storage.log_watch.forget.append(lambda loss: alone.begin_anew())
        return alone
    table = LeaseTable(cast("PostgresEngine", storage.engine), settings.lease_s)
    stack.callback(table.close)
    leases = Leases(
        table,
        settings.lease_s,
        log=lines.write,
        is_other_log=lambda: storage.log_watch.continuity.refused is not None,
    )
    try:
        table.create()
    except PersistenceError as error:
        raise CannotServe(f"the database cannot be used: {error}") from None
    observer.probe.tables += TABLES
    storage.log_watch.forget.append(lambda loss: leases.begin_anew())
    await leases.start()
    supervisor.run("leases", leases.run)
    supervisor.when_stopped = leases.resign
    observer.checks["leases"] = readiness.leases(leases, observer.checks["leases"])
    return leases


async def _wind_down(server: Server, supervisor: Supervisor, settings: Settings) -> None:
    """Let requests, looks and questions come to an end, side by side."""
    timeout_s = settings.shutdown_timeout_s * STOP_SHARE
    async with asyncio.TaskGroup() as group:
        group.create_task(server.stop(timeout_s))
        group.create_task(supervisor.shut_down(timeout_s))
