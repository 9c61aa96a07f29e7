"""All of a large fleet at a glance, now or at a time, for pages."""

from collections.abc import Sequence

from projections.fleet import overview
from projections.fleet.overview import HostStatus, Matrix
from projections.past.past_reads import PastReads
from projections.reads import Reads
from web.http.requests import Request
from web.resources.at_time import told
from web.resources.fleet_filter import filter_of


class FleetOverview:
    """How many hosts of each cluster have which status, and how each host is."""

    def __init__(self, reads: Reads, past_reads: PastReads) -> None:
        self._reads = reads
        self._past = past_reads

    async def matrix(self, request: Request, at: str | None) -> Matrix:
        """How many hosts of each cluster have which status."""
        if at is not None:
            return (await told(request, self._past.fleet(at, overview.matrix))).found
        return await self._reads.point(overview.matrix)

    async def statuses(
        self, request: Request, query: bytes, at: str | None, limit: int
    ) -> Sequence[HostStatus]:
        """The first hosts that a query asks for, by cluster and address. Refuses a wrong one."""
        which = filter_of(query)
        if at is not None:
            asking = self._past.fleet(at, overview.statuses, which, limit)
            return (await told(request, asking)).found
        return await self._reads.scan(overview.statuses, which, limit)
