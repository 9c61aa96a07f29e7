"""A look at a host over SSH, in the investigator's words."""

from collections.abc import Awaitable, Callable
from functools import partial

from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered, FailureKind
from domain.refusal import Refusal
from runners.hosts.facts import gather, sudo_failure
from runners.hosts.outcomes import HostKeyChanged, HostUnusable, Trust
from runners.leases.ownership import SINGLE_PROCESS, Ownership, permitted
from runners.scheduling.process_manager import LocalFailure
from runners.security.private_keys import PrivateKey
from runners.security.vault import NoSecret, WrongMasterKey
from runners.ssh.client import Ssh, Target
from runners.ssh.failure import HostKey, HostKeyMismatch, SshFailure

KINDS: dict[str, FailureKind] = {
    "authentication": "authentication",
    "host_key": "unreachable",  # an unusable key; another than the pinned one is HostKeyChanged
    "facts": "facts",
    "output": "facts",
    "command": "facts",
}
"""What a failure of SSH is to the domain; all others are `unreachable`."""


class SshProbe:
    """Connects, lets the host key be trusted, gathers facts, and checks that we may act as root.

    `private_key(subject)` gives the key of `host/ADDRESS`.
    """

    def __init__(
        self,
        ssh: Ssh,
        private_key: Callable[[str], Awaitable[PrivateKey]],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._ssh = ssh
        self._private_key = private_key
        self._ownership = ownership

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """The facts, from one connection."""
        target = await target_of(host, self._private_key)

        async def vouch(key: HostKey) -> None:
            await trust(key.algorithm, key.fingerprint)

        permit = partial(permitted, self._ownership, host.name)
        try:
            async with self._ssh.connect(target, vouch, permit) as session:
                facts = await gather(session)
        except HostKeyMismatch as mismatch:
            raise HostKeyChanged(mismatch.offered.fingerprint, mismatch.sentence) from mismatch
        except SshFailure as failure:
            if failure.kind == "ours":
                raise LocalFailure(failure.sentence) from failure
            raise failure_of(failure) from failure
        if reason := sudo_failure(facts, target.user):
            raise HostUnusable("sudo", reason)
        return FactsGathered(
            facts.os, facts.os_version, facts.cpus, facts.memory, facts.space, facts.boot_id
        )


async def target_of(host: Host, private_key: Callable[[str], Awaitable[PrivateKey]]) -> Target:
    """Whom to connect to; a look at a host that was removed meanwhile is recorded nowhere."""
    try:
        key = await private_key(host.id)
    except NoSecret:
        reason = f"There is no private key for {host.name}: remove it and register it again."
        raise HostUnusable("authentication", reason) from None
    except Refusal as unusable:  # by rules that came after it was taken
        reason = f"{unusable.sentence} Remove {host.name} and register it with another."
        raise HostUnusable("authentication", reason) from None
    except WrongMasterKey as wrong:
        raise HostUnusable("authentication", f"{wrong}.") from None
    return Target(
        host.name,
        host.registration.ssh_port,
        host.registration.remote_user,
        key,
        HostKey(host.pinned_algorithm, host.pinned) if host.pinned else None,
    )


def failure_of(failure: SshFailure) -> HostUnusable:
    """A failure of SSH in the words of process managers."""
    kind = KINDS.get(failure.kind, "unreachable")
    return HostUnusable(kind, failure.sentence, passing=failure.passing)
