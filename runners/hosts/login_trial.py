"""Credentials tried on their host before they are kept: a login, and whether sudo works."""

import asyncio

from domain.commands.credentials import Login
from domain.refusal import conflict, unavailable
from runners.hosts.facts import gather, sudo_failure
from runners.security.private_keys import read_private_key
from runners.ssh.client import Ssh, Target
from runners.ssh.failure import HostKey, SshFailure
from runners.ssh.retry import Retries, retrying
from web.resources.credentials import Trust

TRIAL_TIMEOUT_S = 60.0
"""The whole trial, with the wait for a free SSH session: a client waits for the answer."""
RETRIES = Retries(attempts_max=2, pause_first_s=0.5, total_max_s=10.0)
"""A passing failure is repeated once: sshd turns logins away when many come at once."""


class SshLoginTrial:
    """Logs in with the new credentials and the pinned host key, over the sessions of `ssh`."""

    def __init__(self, ssh: Ssh) -> None:
        self._ssh = ssh

    async def __call__(self, login: Login, private_key: bytes, trust: Trust) -> None:
        """Raises a `Refusal` where SSH fails, or the user cannot become root on the host."""
        try:
            async with asyncio.timeout(TRIAL_TIMEOUT_S):
                reason = await self._sudo_failure(login, private_key, trust)
        except SshFailure as failure:
            raise conflict(f"{failure.sentence} Nothing was changed.") from failure
        except TimeoutError:
            raise unavailable(
                f"The credentials could not be tried on {login.address} within"
                f" {TRIAL_TIMEOUT_S:g} s. Nothing was changed."
            ) from None
        if reason is not None:
            raise conflict(f"The login works, but {reason} Nothing was changed.")

    async def _sudo_failure(self, login: Login, private_key: bytes, trust: Trust) -> str | None:
        key = await asyncio.to_thread(read_private_key, private_key)

        async def vouch(host_key: HostKey) -> None:
            nonlocal login
            await trust(host_key.algorithm, host_key.fingerprint)
            login = login.trusting(host_key.algorithm, host_key.fingerprint)

        async def attempt() -> str | None:
            pinned = HostKey(login.pinned_algorithm, login.pinned) if login.pinned else None
            target = Target(login.address, login.ssh_port, login.remote_user, key, pinned)
            async with self._ssh.connect(target, vouch) as session:
                try:
                    facts = await gather(session)
                except SshFailure as failure:
                    # What kind of system it is has nothing to do with its credentials.
                    if failure.kind == "facts":
                        return None
                    raise
                return sudo_failure(facts, login.remote_user)

        return await retrying(attempt, RETRIES)
