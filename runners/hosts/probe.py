"""The probe of a host over SSH: its facts, and whether we may act as root there."""

import asyncio

from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered
from runners.hosts.facts import Facts, gather, sudo_failure
from runners.hosts.outcomes import HostUnusable, Trust
from runners.hosts.ssh_session import HostSessions
from runners.ssh.failure import SshFailure
from runners.ssh.kept_connections import KeptConnections, Visit


class SshProbe:
    """Implements `Probe` with one session."""

    def __init__(self, sessions: HostSessions) -> None:
        self._sessions = sessions

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """The facts. Raises what `HostSessions.open` raises; `HostUnusable` also without sudo."""
        async with self._sessions.open(host, trust) as session:
            facts = await gather(session)
        return _of_use(host, facts)


class KeptProbe:
    """Implements `Probe` over the kept connection to a host, and with a log-in where that fails.

    So no failure is told that a log-in has not met: what is kept may have died, and what a host
    lets an old session do may be another thing than what it lets us do now.
    """

    def __init__(self, sessions: HostSessions, kept: KeptConnections, answer_s: float) -> None:
        """A host is logged in to anew that does not answer for `answer_s`."""
        self._sessions = sessions
        self._kept = kept
        self._answer_s = answer_s

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """As `SshProbe` does."""
        login = (host.credentials, host.fingerprint, host.registration, host.pinned)
        with self._kept.visit(host.name, login) as visit:
            facts = await self._over_kept(visit, host)
            if facts is None:
                async with self._sessions.open(host, trust, visit) as session:
                    facts = await gather(session)
        return _of_use(host, facts)

    async def _over_kept(self, visit: Visit, host: Host) -> Facts | None:
        """None where there is no connection, or one that is of no use any more."""
        session = self._kept.take(visit)
        if session is None:
            return None
        facts = None
        try:
            async with asyncio.timeout(self._answer_s):
                facts = await gather(session)
        except (SshFailure, TimeoutError):
            pass  # a log-in follows, and tells what is wrong
        finally:
            if facts is None or sudo_failure(facts, host.registration.remote_user):
                facts = None
                self._kept.give_up(session)
            else:
                self._kept.give_back(visit, session)
        return facts


def _of_use(host: Host, facts: Facts) -> FactsGathered:
    if reason := sudo_failure(facts, host.registration.remote_user):
        raise HostUnusable("sudo", reason)
    return FactsGathered(
        facts.os,
        facts.os_version,
        facts.cpus,
        facts.memory,
        facts.space,
        facts.boot_id,
        facts.kernel,
        facts.booted_at,
        facts.reboot_needed,
    )
