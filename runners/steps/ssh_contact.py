"""The way to a host over SSH, for the steps of operations."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from domain.aggregates.host import Host
from runners.hosts.outcomes import HostKeyChanged, HostOutcomes
from runners.hosts.probe import failure_of, target_of
from runners.leases.ownership import SINGLE_PROCESS, NoLongerOurs, Ownership, permitted
from runners.os_support.clock import since_boot
from runners.scheduling.process_manager import LocalFailure
from runners.security.private_keys import PrivateKey
from runners.ssh.client import Session, Ssh
from runners.ssh.command import Output
from runners.ssh.failure import HostKey, HostKeyMismatch, SshFailure
from runners.steps import detached_step
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import REBOOT_NEEDED, Commands


class SshStepSession:
    """A session that runs steps, and does nothing to the host later than `left_s()` from now.

    However long something is on its way, the host itself does not begin it after that: it is told
    the latest time, by its own clock, which it said before. Raises `NoLongerOurs` where that
    passed.
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

    async def watch(self, step_id: str, offset: int = 0) -> StepReport:
        """How the step goes."""
        report = await detached_step.watch(self._session, step_id, offset)
        # It was read before now: counted from now, the latest time is none too late.
        self._uptime_s, self._asked_at = report.uptime_s, since_boot()
        return report

    async def cancel(self, step_id: str) -> StepReport:
        """End it."""
        not_after = await self._not_after(step_id)
        return self._in_time(await detached_step.cancel(self._session, step_id, not_after))

    async def clear(self, step_id: str) -> None:
        """Delete its output there."""
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

    async def reboot_needed(self) -> bool:
        """Whether what was installed takes a reboot to be used."""
        output = await self.ask(REBOOT_NEEDED)
        return output.stdout.split()[-1:] == [b"yes"]


class SshConnector:
    """Connects as the log says; pins the host key where nothing is pinned yet.

    `private_key(subject)` gives the key of `host/ADDRESS`.
    """

    def __init__(
        self,
        ssh: Ssh,
        private_key: Callable[[str], Awaitable[PrivateKey]],
        outcomes: HostOutcomes,
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._ssh = ssh
        self._private_key = private_key
        self._outcomes = outcomes
        self._ownership = ownership

    def __call__(self, host: Host) -> AbstractAsyncContextManager[SshStepSession]:
        """A connection. Raises `HostKeyChanged`; `HostUnusable` and `LocalFailure` also in the
        block."""
        return self._connected(host)

    @asynccontextmanager
    async def _connected(self, host: Host) -> AsyncIterator[SshStepSession]:
        target = await target_of(host, self._private_key)
        trust = self._outcomes.trust(host)

        async def vouch(key: HostKey) -> None:
            await trust(key.algorithm, key.fingerprint)

        permit = partial(permitted, self._ownership, host.name)
        try:
            async with self._ssh.connect(target, vouch, permit) as session:
                yield SshStepSession(session, partial(self._ownership.left_s, host.name))
        except HostKeyMismatch as mismatch:
            raise HostKeyChanged(mismatch.offered.fingerprint, mismatch.sentence) from mismatch
        except SshFailure as failure:
            if failure.kind == "ours":
                raise LocalFailure(failure.sentence) from failure
            raise failure_of(failure) from failure
