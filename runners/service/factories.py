"""The process managers that speak to hosts and to container managers, made from the settings."""

import os
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from domain.event import TIME_FORMAT
from domain.log.recorder import now
from domain.log.writer import Writer
from projections.beside_the_log import heartbeats
from runners.bootstrapping.bootstrap import Bootstrap
from runners.bootstrapping.step_files import Lists
from runners.container_managers.connections import ContainerManagers
from runners.container_managers.node_registrar import NodeRegistrar
from runners.container_managers.node_reports import NodeReports
from runners.hosts import investigator, watcher
from runners.hosts.heartbeats import Heartbeats
from runners.hosts.investigator import SLOW_PER_SLOT, Investigator
from runners.hosts.outcomes import HostOutcomes
from runners.hosts.probe import SshProbe
from runners.hosts.watcher import Watcher
from runners.leases.ownership import Ownership
from runners.operations import step_outcomes
from runners.operations.host_driver import HostDriver
from runners.operations.node_step import ClusterNodes
from runners.operations.operation_driver import OperationDriver
from runners.os_support.log_lines import ServiceLog, described
from runners.scheduling.backoff import Pauses
from runners.security.vault import Vault
from runners.service.fleet_reader import FleetReader
from runners.settings.kinds import DAY_S
from runners.settings.settings import Settings
from runners.sources.plugins import ConfiguredSource
from runners.sources.pollers import SourcePollers
from runners.ssh.client import Limits, Ssh, name_ourselves
from runners.steps.ssh_contact import SshConnector

Report = Callable[[str, Exception], None]


def make_ssh(settings: Settings) -> Ssh:
    """Sessions for all of them: what is asked for and what is routine have places of their own."""
    name_ourselves(os.environ)
    looks = settings.ssh_parallel * (1 + SLOW_PER_SLOT)
    return Ssh(
        looks + settings.check_parallel + settings.operation_parallel,
        limits=Limits(
            connect_s=settings.ssh_connect_timeout_s,
            login_s=settings.ssh_connect_timeout_s,
            command_s=settings.ssh_command_timeout_s,
        ),
    )


def make_investigator(
    settings: Settings,
    writer: Writer,
    known: FleetReader,
    ssh: Ssh,
    lines: ServiceLog,
    ownership: Ownership,
    steps: Lists | None,
) -> Investigator:
    """Whoever looks at new hosts, sets them up by these steps, and asks those that failed."""
    outcomes = HostOutcomes(writer, investigator.ACTOR, now, ownership)
    private_key = partial(known.private_key, reader=investigator.ACTOR)
    connector = SshConnector(ssh, private_key, outcomes, ownership)
    return Investigator(
        outcomes,
        known,
        SshProbe(ssh, private_key, ownership),
        parallel=settings.ssh_parallel,
        attempts_max=settings.investigation_attempts,
        pauses=Pauses(settings.retry_pause_s, settings.retry_pause_max_s),
        known_pause_max_s=settings.check_interval,
        chance=random.SystemRandom(),
        on_defect=_on_defect("investigation.failed", lines),
        ownership=ownership,
        set_up=None
        if steps is None
        else Bootstrap(steps, outcomes, connector, now=now, new_id=lambda: str(uuid4())),
    )


def make_watcher(
    settings: Settings,
    writer: Writer,
    known: FleetReader,
    ssh: Ssh,
    lines: ServiceLog,
    ownership: Ownership,
) -> Watcher:
    """Whoever checks the hosts that are set up."""
    return Watcher(
        HostOutcomes(writer, watcher.ACTOR, now, ownership),
        known,
        SshProbe(ssh, partial(known.private_key, reader=watcher.ACTOR), ownership),
        Heartbeats(writer, heartbeats.beat, watcher.ACTOR, now),
        interval_s=settings.check_interval,
        parallel=settings.check_parallel,
        misses_max=settings.check_failures,
        now=now,
        chance=random.SystemRandom(),
        on_defect=_on_defect("check.failed", lines),
        ownership=ownership,
    )


def make_operation_driver(
    settings: Settings,
    writer: Writer,
    known: FleetReader,
    ssh: Ssh,
    managers: ContainerManagers,
    lines: ServiceLog,
    ownership: Ownership,
) -> OperationDriver:
    """Whoever takes hosts through the steps of operations."""
    connector = SshConnector(
        ssh,
        partial(known.private_key, reader=step_outcomes.ACTOR),
        HostOutcomes(writer, step_outcomes.ACTOR, now, ownership),
        ownership,
    )
    on_defect = _on_defect("operation.step_broke_off", lines)
    return OperationDriver(
        writer,
        known,
        HostDriver(
            writer,
            known,
            connector,
            ClusterNodes(managers),
            now=now,
            on_defect=on_defect,
            ownership=ownership,
        ),
        parallel=settings.operation_parallel,
        kept_s=settings.output_kept_days * DAY_S,
        now=now,
        ownership=ownership,
    )


def make_sources(
    configured: Sequence[ConfiguredSource],
    writer: Writer,
    known: FleetReader,
    lines: ServiceLog,
    ownership: Ownership,
) -> SourcePollers:
    """Whoever asks inventories about the hosts that they own."""
    return SourcePollers(
        configured,
        writer,
        known,
        now=now,
        chance=random.SystemRandom(),
        log=lines.write,
        ownership=ownership,
    )


def make_registrar(
    writer: Writer,
    vault: Vault,
    known: FleetReader,
    managers: ContainerManagers,
    lines: ServiceLog,
    ownership: Ownership,
) -> NodeRegistrar:
    """Whoever tells container managers which hosts are their nodes."""
    return NodeRegistrar(
        writer,
        vault,
        known,
        managers,
        now=now,
        chance=random.SystemRandom(),
        log=lines.write,
        on_defect=_on_defect("container_manager.defect", lines),
        ownership=ownership,
    )


def make_node_reports(
    settings: Settings,
    writer: Writer,
    known: FleetReader,
    managers: ContainerManagers,
    lines: ServiceLog,
    ownership: Ownership,
) -> NodeReports:
    """Whoever asks container managers about their nodes."""
    return NodeReports(
        writer,
        known,
        managers,
        interval_s=settings.node_report_interval_s,
        now=now,
        on_defect=_on_defect("container_manager.defect", lines),
        ownership=ownership,
    )


def oldest_report(settings: Settings) -> str:
    """What container managers said before this time is too old to be shown."""
    oldest = datetime.now(UTC) - timedelta(seconds=settings.node_report_age_s)
    return oldest.strftime(TIME_FORMAT)


def _on_defect(kind: str, lines: ServiceLog) -> Report:
    def report(address: str, error: Exception) -> None:
        lines.write(kind, level="error", address=address, **described(error))

    return report
