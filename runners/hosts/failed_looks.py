"""When hosts that failed are looked at next, and which request the last look has answered."""

from domain.event import shifted
from projections.beside_the_log.host_looks import Look
from runners.hosts.heartbeats import Gathered

WRITE_EVERY_S = 0.5
"""Whoever asked for a look waits for this."""


class FailedLooks(Gathered[Look]):
    """Gathered for the fleet's records, and for whoever waits for a look."""

    def tell(self, address: str, request: str, pause_s: float) -> None:
        """A look that was asked for at a time has failed; the next comes after a pause."""
        self.seen(address, Look(request, shifted(self._now(), pause_s)))
