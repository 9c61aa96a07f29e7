"""A look at a host over SSH, in the investigator's words."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from domain.host import FactsGathered, FailureKind, Host
from runners.facts import Facts, gather, sudo_failure
from runners.investigator import Abandoned, LookFailed, OtherHostKey, Trust
from runners.keys import PrivateKey
from runners.retry import Retries, retrying
from runners.ssh import Ssh, Target
from runners.ssh_failure import HostKey, HostKeyMismatch, SshFailure
from runners.vault import NoSecret

KINDS: dict[str, FailureKind] = {
    "authentication": "authentication",
    "host_key": "unreachable",  # an unusable key; another than the pinned one is OtherHostKey
    "facts": "facts",
    "output": "facts",
    "command": "facts",
}
"""What a failure of SSH is to the domain; all others are `unreachable`."""


class SshLook:
    """Connects, lets the host key be trusted, gathers facts, and checks that we may act as root.

    `private_key(subject)` gives the key of `host/ADDRESS`.
    """

    def __init__(
        self, ssh: Ssh, private_key: Callable[[str], Awaitable[PrivateKey]], retries: Retries
    ) -> None:
        self._ssh = ssh
        self._private_key = private_key
        self._retries = retries

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """The facts, after as many attempts as the retries allow."""
        registration = host.registration
        try:
            key = await self._private_key(host.id)
        except NoSecret:
            raise Abandoned from None
        target = Target(
            host.name,
            registration.ssh_port,
            registration.remote_user,
            key,
            HostKey(host.pinned_algorithm, host.pinned) if host.pinned else None,
        )

        async def vouch(key: HostKey) -> None:
            nonlocal target
            await trust(key.algorithm, key.fingerprint)
            target = replace(target, pinned=key)  # also for the attempts that follow

        async def attempt() -> Facts:
            async with self._ssh.connect(target, vouch) as session:
                return await gather(session)

        try:
            facts = await retrying(attempt, self._retries)
        except HostKeyMismatch as mismatch:
            raise OtherHostKey(mismatch.offered.fingerprint, mismatch.sentence) from mismatch
        except SshFailure as failure:
            kind = KINDS.get(failure.kind, "unreachable")
            raise LookFailed(kind, failure.sentence) from failure
        if reason := sudo_failure(facts, registration.remote_user):
            raise LookFailed("sudo", reason)
        return FactsGathered(
            facts.os, facts.os_version, facts.cpus, facts.memory, facts.space, facts.boot_id
        )
