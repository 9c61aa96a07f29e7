"""The process managers that speak to hosts, made from the settings."""

import os
import random
from collections.abc import Callable
from functools import partial

from domain.log.recorder import now
from domain.log.writer import Writer
from projections import hosts
from runners import investigator, watcher
from runners.findings import Findings
from runners.fleet_hosts import FleetHosts
from runners.heartbeats import Heartbeats
from runners.investigator import Investigator, Pauses
from runners.log_lines import LogLines, described
from runners.look import SshLook
from runners.settings import Settings
from runners.ssh import Limits, Ssh, name_ourselves
from runners.watcher import Watcher

Report = Callable[[str, Exception], None]


def make_ssh(settings: Settings) -> Ssh:
    """Sessions for all of them: what is asked for and what is routine have places of their own."""
    name_ourselves(os.environ)
    return Ssh(
        settings.ssh_parallel + settings.check_parallel,
        limits=Limits(
            connect_s=settings.ssh_connect_timeout_s,
            login_s=settings.ssh_connect_timeout_s,
            command_s=settings.ssh_command_timeout_s,
        ),
    )


def make_investigator(
    settings: Settings, writer: Writer, known: FleetHosts, ssh: Ssh, lines: LogLines
) -> Investigator:
    """Whoever looks at new hosts, and at those that failed."""
    return Investigator(
        Findings(writer, investigator.ACTOR, now),
        known,
        SshLook(ssh, partial(known.private_key, reader=investigator.ACTOR)),
        parallel=settings.ssh_parallel,
        attempts_max=settings.investigation_attempts,
        pauses=Pauses(settings.retry_pause_s, settings.retry_pause_max_s),
        known_pause_max_s=settings.check_interval,
        chance=random.SystemRandom(),
        on_defect=_on_defect("investigation.failed", lines),
    )


def make_watcher(
    settings: Settings, writer: Writer, known: FleetHosts, ssh: Ssh, lines: LogLines
) -> Watcher:
    """Whoever checks the hosts that are set up."""
    return Watcher(
        Findings(writer, watcher.ACTOR, now),
        known,
        SshLook(ssh, partial(known.private_key, reader=watcher.ACTOR)),
        Heartbeats(writer, hosts.beat, watcher.ACTOR, now),
        interval_s=settings.check_interval,
        parallel=settings.check_parallel,
        misses_max=settings.check_failures,
        now=now,
        chance=random.SystemRandom(),
        on_defect=_on_defect("check.failed", lines),
    )


def _on_defect(kind: str, lines: LogLines) -> Report:
    def report(address: str, error: Exception) -> None:
        lines.line(kind, level="error", address=address, **described(error))

    return report
