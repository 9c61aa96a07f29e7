"""The process managers that speak to hosts and to container managers, made from the settings."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from domain.event import TIME_FORMAT
from domain.log.recorder import now
from domain.log.writer import Writer
from domain.timed_id import timed_id
from projections.beside_the_log import heartbeats, host_looks
from runners.bootstrapping.bootstrap import Bootstrap
from runners.bootstrapping.step_files import Lists
from runners.container_managers.connections import ContainerManagers
from runners.container_managers.node_registrar import NodeRegistrar
from runners.container_managers.node_reports import NodeReports
from runners.gates.gates import Gates
from runners.hosts import failed_looks, investigator, watcher
from runners.hosts.failed_looks import FailedLooks
from runners.hosts.heartbeats import Heartbeats
from runners.hosts.investigator import SLOW_PER_SLOT, Investigator
from runners.hosts.outcomes import HostOutcomes
from runners.hosts.probe import KeptProbe, SshProbe
from runners.hosts.ssh_session import HostSessions
from runners.hosts.watcher import Watcher
from runners.leases.ownership import Ownership
from runners.operations import step_outcomes
from runners.operations.host_driver import HostDriver
from runners.operations.node_step import ClusterNodes
from runners.operations.operation_driver import OperationDriver
from runners.os_support.log_lines import ServiceLog, described
from runners.planning.scheduler import Scheduler
from runners.scheduling.backoff import Pauses
from runners.security.vault import Vault
from runners.service.fleet_reader import FleetReader
from runners.settings.kinds import DAY_S
from runners.settings.settings import Settings
from runners.sources.plugins import ConfiguredSource
from runners.sources.pollers import SourcePollers
from runners.ssh.client import Limits, Ssh, name_ourselves
from runners.steps.ssh_contact import SshConnector
from runners.updates import update_scanner
from runners.updates.update_scanner import UpdateScanner
from runners.webhooks.reading import WebhookReader
from runners.webhooks.receiver import HttpReceiver
from runners.webhooks.sender import WebhookSender

Report = Callable[[str, Exception], None]


def make_ssh(settings: Settings) -> Ssh:
    """Sessions for all of them: what is asked for and what is routine have places of their own."""
    name_ourselves(os.environ)
    looks = settings.ssh_parallel * (1 + SLOW_PER_SLOT)
    return Ssh(
        looks + settings.check_parallel + settings.operation_parallel + update_scanner.PARALLEL,
        limits=Limits(
            connect_s=settings.ssh_connect_timeout_s,
            login_s=settings.ssh_connect_timeout_s,
            command_s=settings.ssh_command_timeout_s,
        ),
        kept=settings.ssh_kept,
    )


@dataclass(frozen=True)
class Factories:
    """Makes each process manager of what they share."""

    settings: Settings
    writer: Writer
    fleet: FleetReader
    ssh: Ssh
    lines: ServiceLog
    ownership: Ownership

    def investigator(self, steps: Lists | None) -> Investigator:
        """Whoever looks at new hosts, sets them up by these steps, and asks those that failed."""
        outcomes = HostOutcomes(self.writer, investigator.ACTOR, now, self.ownership)
        sessions = self._sessions(investigator.ACTOR)
        set_up = None
        if steps is not None:
            connector = SshConnector(sessions, outcomes)
            set_up = Bootstrap(steps, outcomes, connector, now=now, new_id=timed_id)
        return Investigator(
            outcomes,
            self.fleet,
            SshProbe(sessions),
            parallel=self.settings.ssh_parallel,
            attempts_max=self.settings.investigation_attempts,
            pauses=Pauses(self.settings.retry_pause_s, self.settings.retry_pause_max_s),
            known_pause_max_s=self.settings.check_interval,
            chance=random.SystemRandom(),
            on_defect=self._on_defect("investigation.failed"),
            ownership=self.ownership,
            set_up=set_up,
            looks=FailedLooks(
                self.writer, host_looks.keep, investigator.ACTOR, now, failed_looks.WRITE_EVERY_S
            ),
        )

    def watcher(self) -> Watcher:
        """Whoever checks the hosts that are set up."""
        sessions = self._sessions(watcher.ACTOR)
        return Watcher(
            HostOutcomes(self.writer, watcher.ACTOR, now, self.ownership),
            self.fleet,
            KeptProbe(sessions, self.ssh.kept, self.settings.ssh_connect_timeout_s),
            Heartbeats(self.writer, partial(heartbeats.beat, now=now), watcher.ACTOR, now),
            interval_s=self.settings.check_interval,
            parallel=self.settings.check_parallel,
            misses_max=self.settings.check_failures,
            now=now,
            chance=random.SystemRandom(),
            on_defect=self._on_defect("check.failed"),
            ownership=self.ownership,
            kept=self.ssh.kept,
        )

    def update_scanner(self) -> UpdateScanner:
        """Whoever asks hosts how many updates wait."""
        outcomes = HostOutcomes(self.writer, update_scanner.ACTOR, now, self.ownership)

        def report(address: str, reason: str) -> None:
            self.lines.write("updates.unknown", level="warning", address=address, reason=reason)

        return UpdateScanner(
            outcomes,
            self.fleet,
            SshConnector(self._sessions(update_scanner.ACTOR), outcomes),
            now=now,
            new_id=timed_id,
            chance=random.SystemRandom(),
            on_failure=report,
            ownership=self.ownership,
        )

    def operation_driver(self, managers: ContainerManagers, gates: Gates) -> OperationDriver:
        """Whoever takes hosts through the steps of operations."""
        outcomes = HostOutcomes(self.writer, step_outcomes.ACTOR, now, self.ownership)
        connector = SshConnector(self._sessions(step_outcomes.ACTOR), outcomes)
        on_defect = self._on_defect("operation.step_broke_off")
        return OperationDriver(
            self.writer,
            self.fleet,
            HostDriver(
                self.writer,
                self.fleet,
                connector,
                ClusterNodes(managers),
                now=now,
                on_defect=on_defect,
                ownership=self.ownership,
            ),
            parallel=self.settings.operation_parallel,
            kept_s=self.settings.output_kept_days * DAY_S,
            now=now,
            gates=gates,
            ownership=self.ownership,
        )

    def scheduler(self) -> Scheduler:
        """Whoever begins the operations of schedules."""
        return Scheduler(
            self.writer, self.fleet, now=now, new_id=timed_id, ownership=self.ownership
        )

    def source_pollers(self, configured: Sequence[ConfiguredSource]) -> SourcePollers:
        """Whoever asks inventories about the hosts that they own."""
        return SourcePollers(
            configured,
            self.writer,
            self.fleet,
            now=now,
            chance=random.SystemRandom(),
            log=self.lines.write,
            ownership=self.ownership,
        )

    def webhook_sender(self, webhooks: WebhookReader) -> WebhookSender:
        """Whoever sends events to webhooks."""
        return WebhookSender(
            self.writer,
            webhooks,
            HttpReceiver(),
            now=now,
            chance=random.SystemRandom(),
            log=self.lines.write,
            ownership=self.ownership,
        )

    def node_registrar(self, managers: ContainerManagers, vault: Vault) -> NodeRegistrar:
        """Whoever tells container managers which hosts are their nodes."""
        return NodeRegistrar(
            self.writer,
            vault,
            self.fleet,
            managers,
            now=now,
            chance=random.SystemRandom(),
            log=self.lines.write,
            on_defect=self._on_defect("container_manager.defect"),
            ownership=self.ownership,
        )

    def node_reports(self, managers: ContainerManagers) -> NodeReports:
        """Whoever asks container managers about their nodes."""
        return NodeReports(
            self.writer,
            self.fleet,
            managers,
            interval_s=self.settings.node_report_interval_s,
            now=now,
            on_defect=self._on_defect("container_manager.defect"),
            ownership=self.ownership,
        )

    def _sessions(self, reader: str) -> HostSessions:
        private_key = partial(self.fleet.private_key, reader=reader)
        return HostSessions(self.ssh, private_key, self.ownership)

    def _on_defect(self, kind: str) -> Report:
        def report(address: str, error: Exception) -> None:
            self.lines.write(kind, level="error", address=address, **described(error))

        return report


def oldest_report(settings: Settings) -> str:
    """What container managers said before this time is too old to be shown."""
    oldest = datetime.now(UTC) - timedelta(seconds=settings.node_report_age_s)
    return oldest.strftime(TIME_FORMAT)
