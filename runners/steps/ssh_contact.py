"""Sessions with hosts over SSH that run the steps of operations and of bootstrapping."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from domain.aggregates.host import Host
from runners.hosts.outcomes import HostOutcomes
from runners.hosts.ssh_session import HostSessions
from runners.leases.ownership import NoLongerOurs
from runners.os_support.clock import since_boot
from runners.ssh.client import Session
from runners.ssh.command import Output
from runners.steps import detached_step
from runners.steps.contact import RebootNeed
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import REBOOT_NEEDED, Commands, sentences


class SshStepSession:
    """Runs steps, none of which the host begins later than `left_s()` from when it was asked.

    The host is sent the latest time by its own clock, which it reported before, so that a request
    that was long on its way is not carried out. Raises `NoLongerOurs` where it came too late.
    """

    def __init__(self, session: Session, left_s: Callable[[], float] = lambda: math.inf) -> None:
        self._session = session
        self._left_s = left_s
        self._uptime_s: int | None = None
        self._asked_at = 0.0

    async def start(self, step_id: str, commands: Commands) -> StepReport:
        """Run the commands, unless that was done before."""
        not_after = await self._not_after(step_id)
        return self._in_time(await detached_step.start(self._session, step_id, commands, not_after))

    async def watch(self, step_id: str, offset: int = 0, wait_s: int = 0) -> StepReport:
        """The state of the step, and its output from the offset on, within `wait_s`."""
        wait_s = min(wait_s, int(self._session.command_s / 2))
        report = await detached_step.watch(self._session, step_id, offset, wait_s)
        # The clock was read before this moment, so the latest time is early rather than late.
        self._uptime_s, self._asked_at = report.uptime_s, since_boot()
        return report

    async def cancel(self, step_id: str) -> StepReport:
        """End the step."""
        not_after = await self._not_after(step_id)
        return self._in_time(await detached_step.cancel(self._session, step_id, not_after))

    async def clear(self, step_id: str) -> None:
        """Delete the step's output on the host."""
        not_after = await self._not_after(step_id)
        self._in_time(await detached_step.clear(self._session, step_id, not_after))

    async def _not_after(self, step_id: str) -> int | None:
        """The latest time by the host's clock; None where there is no limit, or no such clock."""
        if self._left_s() == math.inf:
            return None
        if self._uptime_s is None:
            await self.watch(step_id)
        if self._uptime_s is None:
            return None
        return math.floor(self._uptime_s + since_boot() - self._asked_at + self._left_s())

    @staticmethod
    def _in_time(report: StepReport) -> StepReport:
        if report.late:
            raise NoLongerOurs
        return report

    async def ask(self, script: str) -> Output:
        """Run a script as root that changes nothing."""
        return await self._session.run(detached_step.as_root(script))

    async def reboot_needed(self) -> RebootNeed:
        """Whether what was installed is used only after a reboot."""
        output = await self.ask(REBOOT_NEEDED)
        if output.stdout.split()[-1:] == [b"yes"]:
            return RebootNeed(needed=True)
        return RebootNeed(needed=False, unsure=sentences(output.stderr))


class SshConnector:
    """Opens sessions that run steps; pins the host key where none is pinned yet."""

    def __init__(self, sessions: HostSessions, outcomes: HostOutcomes) -> None:
        self._sessions = sessions
        self._outcomes = outcomes

    @asynccontextmanager
    async def __call__(self, host: Host) -> AsyncIterator[SshStepSession]:
        """A session. Raises what `HostSessions.open` raises."""
        async with self._sessions.open(host, self._outcomes.trust(host)) as session:
            yield SshStepSession(session, partial(self._sessions.left_s, host.name))
