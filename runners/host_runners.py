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
from projections import hosts
from runners import investigator, rolling_host, watcher
from runners.bootstrap import Bootstrap
from runners.bootstrap_lists import Lists
from runners.claims import Claims
from runners.container_managers import ContainerManagers
from runners.findings import Findings
from runners.fleet_hosts import FleetHosts
from runners.heartbeats import Heartbeats
from runners.investigator import SLOW_PER_SLOT, Investigator, Pauses
from runners.log_lines import LogLines, described
from runners.look import SshLook
from runners.node_reports import NodeReports
from runners.reach import SshReach
from runners.registrar import Registrar
from runners.rolling import Rolling
from runners.rolling_host import HostSteps
from runners.rolling_node import NodeSteps
from runners.settings import DAY_S, Settings
from runners.source_plugins import ConfiguredSource
from runners.sources import Sources
from runners.ssh import Limits, Ssh, name_ourselves
from runners.vault import Vault
from runners.watcher import Watcher

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
    known: FleetHosts,
    ssh: Ssh,
    lines: LogLines,
    claims: Claims,
    steps: Lists | None,
) -> Investigator:
    """Whoever looks at new hosts, sets them up by these steps, and asks those that failed."""
    findings = Findings(writer, investigator.ACTOR, now, claims)
    private_key = partial(known.private_key, reader=investigator.ACTOR)
    reach = SshReach(ssh, private_key, findings, claims)
    return Investigator(
        findings,
        known,
        SshLook(ssh, private_key, claims),
        parallel=settings.ssh_parallel,
        attempts_max=settings.investigation_attempts,
        pauses=Pauses(settings.retry_pause_s, settings.retry_pause_max_s),
        known_pause_max_s=settings.check_interval,
        chance=random.SystemRandom(),
        on_defect=_on_defect("investigation.failed", lines),
        claims=claims,
        set_up=None
        if steps is None
        else Bootstrap(steps, findings, reach, now=now, new_id=lambda: str(uuid4())),
    )


def make_watcher(
    settings: Settings,
    writer: Writer,
    known: FleetHosts,
    ssh: Ssh,
    lines: LogLines,
    claims: Claims,
) -> Watcher:
    """Whoever checks the hosts that are set up."""
    return Watcher(
        Findings(writer, watcher.ACTOR, now, claims),
        known,
        SshLook(ssh, partial(known.private_key, reader=watcher.ACTOR), claims),
        Heartbeats(writer, hosts.beat, watcher.ACTOR, now),
        interval_s=settings.check_interval,
        parallel=settings.check_parallel,
        misses_max=settings.check_failures,
        now=now,
        chance=random.SystemRandom(),
        on_defect=_on_defect("check.failed", lines),
        claims=claims,
    )


def make_rolling(
    settings: Settings,
    writer: Writer,
    known: FleetHosts,
    ssh: Ssh,
    managers: ContainerManagers,
    lines: LogLines,
    claims: Claims,
) -> Rolling:
    """Whoever takes hosts through the steps of operations."""
    reach = SshReach(
        ssh,
        partial(known.private_key, reader=rolling_host.ACTOR),
        Findings(writer, rolling_host.ACTOR, now, claims),
        claims,
    )
    on_defect = _on_defect("operation.step_broke_off", lines)
    return Rolling(
        writer,
        known,
        HostSteps(
            writer,
            known,
            reach,
            NodeSteps(managers),
            now=now,
            on_defect=on_defect,
            claims=claims,
        ),
        parallel=settings.operation_parallel,
        kept_s=settings.output_kept_days * DAY_S,
        now=now,
        claims=claims,
    )


def make_sources(
    configured: Sequence[ConfiguredSource],
    writer: Writer,
    known: FleetHosts,
    lines: LogLines,
    claims: Claims,
) -> Sources:
    """Whoever asks inventories about the hosts that they own."""
    return Sources(
        configured,
        writer,
        known,
        now=now,
        chance=random.SystemRandom(),
        log=lines.line,
        claims=claims,
    )


def make_registrar(
    writer: Writer,
    vault: Vault,
    known: FleetHosts,
    managers: ContainerManagers,
    lines: LogLines,
    claims: Claims,
) -> Registrar:
    """Whoever tells container managers which hosts are their nodes."""
    return Registrar(
        writer,
        vault,
        known,
        managers,
        now=now,
        chance=random.SystemRandom(),
        log=lines.line,
        on_defect=_on_defect("container_manager.defect", lines),
        claims=claims,
    )


def make_node_reports(
    settings: Settings,
    writer: Writer,
    known: FleetHosts,
    managers: ContainerManagers,
    lines: LogLines,
    claims: Claims,
) -> NodeReports:
    """Whoever asks container managers about their nodes."""
    return NodeReports(
        writer,
        known,
        managers,
        interval_s=settings.node_report_interval_s,
        now=now,
        on_defect=_on_defect("container_manager.defect", lines),
        claims=claims,
    )


def oldest_report(settings: Settings) -> str:
    """What container managers said before this time is too old to be shown."""
    oldest = datetime.now(UTC) - timedelta(seconds=settings.node_report_age_s)
    return oldest.strftime(TIME_FORMAT)


def _on_defect(kind: str, lines: LogLines) -> Report:
    def report(address: str, error: Exception) -> None:
        lines.line(kind, level="error", address=address, **described(error))

    return report
