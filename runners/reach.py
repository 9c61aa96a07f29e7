"""The way to a host over SSH, for the steps of operations."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from domain.host import Host
from runners import steps
from runners.findings import CannotLook, Findings, OtherHostKey
from runners.keys import PrivateKey
from runners.look import failure_of, target_of
from runners.ssh import Session, Ssh
from runners.ssh_failure import HostKey, HostKeyMismatch, SshFailure
from runners.steps import StepReport
from runners.systems import REBOOT_NEEDED, Commands


class SshContact:
    """A session that runs steps."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def start(self, step_id: str, commands: Commands) -> StepReport:
        """Run the commands, unless that was done before."""
        return await steps.start(self._session, step_id, commands)

    async def watch(self, step_id: str, offset: int = 0) -> StepReport:
        """How the step goes."""
        return await steps.watch(self._session, step_id, offset)

    async def cancel(self, step_id: str) -> StepReport:
        """End it."""
        return await steps.cancel(self._session, step_id)

    async def clear(self, step_id: str) -> None:
        """Delete its output there."""
        await steps.clear(self._session, step_id)

    async def reboot_needed(self) -> bool:
        """Whether what was installed takes a reboot to be used."""
        output = await self._session.run(steps.as_root(REBOOT_NEEDED))
        return output.stdout.split()[-1:] == [b"yes"]


class SshReach:
    """Connects as the log says; pins the host key where nothing is pinned yet.

    `private_key(subject)` gives the key of `host/ADDRESS`.
    """

    def __init__(
        self, ssh: Ssh, private_key: Callable[[str], Awaitable[PrivateKey]], findings: Findings
    ) -> None:
        self._ssh = ssh
        self._private_key = private_key
        self._findings = findings

    def __call__(self, host: Host) -> AbstractAsyncContextManager[SshContact]:
        """A connection. Raises `OtherHostKey`; `LookFailed` and `CannotLook` also in the block."""
        return self._connected(host)

    @asynccontextmanager
    async def _connected(self, host: Host) -> AsyncIterator[SshContact]:
        target = await target_of(host, self._private_key)
        trust = self._findings.trust(host)

        async def vouch(key: HostKey) -> None:
            await trust(key.algorithm, key.fingerprint)

        try:
            async with self._ssh.connect(target, vouch) as session:
                yield SshContact(session)
        except HostKeyMismatch as mismatch:
            raise OtherHostKey(mismatch.offered.fingerprint, mismatch.sentence) from mismatch
        except SshFailure as failure:
            if failure.kind == "ours":
                raise CannotLook(failure.sentence) from failure
            raise failure_of(failure) from failure
