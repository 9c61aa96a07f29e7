"""The probe of a host over SSH: its facts, and whether we may act as root there."""

from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered
from runners.hosts.facts import gather, sudo_failure
from runners.hosts.outcomes import HostUnusable, Trust
from runners.hosts.ssh_session import HostSessions


class SshProbe:
    """Implements `Probe` with one session."""

    def __init__(self, sessions: HostSessions) -> None:
        self._sessions = sessions

    async def __call__(self, host: Host, trust: Trust) -> FactsGathered:
        """The facts. Raises what `HostSessions.open` raises; `HostUnusable` also without sudo."""
        async with self._sessions.open(host, trust) as session:
            facts = await gather(session)
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
