"""Sessions with hosts over SSH: whom to log in as, and failures in the words of the domain."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from domain.aggregates.host import Host
from domain.aggregates.host_events import FailureKind
from domain.refusal import Refusal
from runners.hosts.outcomes import HostKeyChanged, HostUnusable, Trust
from runners.leases.ownership import SINGLE_PROCESS, Ownership, permitted
from runners.scheduling.process_manager import LocalFailure
from runners.security.private_keys import PrivateKey
from runners.security.vault import NoSecret, WrongMasterKey
from runners.ssh.client import Session, Ssh, Target
from runners.ssh.failure import HostKey, HostKeyMismatch, SshFailure
from runners.ssh.kept_connections import Visit

KINDS: dict[str, FailureKind] = {
    "authentication": "authentication",
    "host_key": "unreachable",  # an unusable key; another than the pinned one is HostKeyChanged
    "facts": "facts",
    "output": "facts",
    "command": "facts",
}
"""The kind of a host's failure by the kind of SSH's; all others are `unreachable`."""


class HostSessions:
    """Logs in to hosts that this process owns; `private_key(subject)` reads a host's key."""

    def __init__(
        self,
        ssh: Ssh,
        private_key: Callable[[str], Awaitable[PrivateKey]],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._ssh = ssh
        self._private_key = private_key
        self._ownership = ownership

    def left_s(self, address: str) -> float:
        """For how many seconds this process may work on the host for certain."""
        return self._ownership.left_s(address)

    @asynccontextmanager
    async def open(
        self, host: Host, trust: Trust, visit: Visit | None = None
    ) -> AsyncIterator[Session]:
        """A session with the host, whose key `trust` is asked about at the first contact.

        With a `visit`, its connection may be kept after a block that ends well.
        Raises `HostKeyChanged`, what `trust` raises, and, also within the context, `HostUnusable`
        and `LocalFailure`.
        """
        target = await self._target(host)

        async def vouch(key: HostKey) -> None:
            await trust(key.algorithm, key.fingerprint)

        permit = partial(permitted, self._ownership, host.name)
        try:
            async with self._ssh.connect(target, vouch, permit, visit) as session:
                yield session
        except HostKeyMismatch as mismatch:
            raise HostKeyChanged(mismatch.offered.fingerprint, mismatch.sentence) from mismatch
        except SshFailure as failure:
            if failure.kind == "ours":
                self._ssh.kept.forget_all()  # each is an open file
                raise LocalFailure(failure.sentence) from failure
            kind = KINDS.get(failure.kind, "unreachable")
            raise HostUnusable(
                kind,
                failure.sentence,
                passing=failure.passing,
                nothing_began=failure.nothing_began,
            ) from failure

    async def _target(self, host: Host) -> Target:
        try:
            key = await self._private_key(host.id)
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
