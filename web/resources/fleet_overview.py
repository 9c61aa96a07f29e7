"""All of a large fleet or operation at a glance, now or at a time, for pages."""

from collections.abc import Callable, Sequence

from domain.log.transaction import Transaction
from projections import operation_reads
from projections.fleet import overview
from projections.fleet.matching import HostFilter
from projections.fleet.overview import Matrix
from projections.past.past_reads import PastReads
from projections.reads import Reads
from web.http.requests import Request
from web.resources.at_time import told
from web.resources.fleet_filter import filter_of

Draw = Callable[[Sequence[tuple[str, str]]], bytes]
"""What is made of addresses, each with a state. It runs where the query does, beside the event
loop, and all who ask for the same share it."""


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
        self, request: Request, query: bytes, at: str | None, limit: int, draw: Draw
    ) -> bytes:
        """The first hosts that a query asks for, by cluster and address. Refuses a wrong one."""
        which = filter_of(query)
        if at is not None:
            asking = self._past.fleet(at, _statuses, which, limit, draw)
            return (await told(request, asking)).found
        return await self._reads.scan(_statuses, which, limit, draw)

    async def outcomes(self, operation: str, limit: int, draw: Draw) -> bytes:
        """The first hosts that an operation takes, in order of turn."""
        return await self._reads.scan(_outcomes, operation, limit, draw)


def _statuses(tx: Transaction, which: HostFilter, limit: int, draw: Draw) -> bytes:
    return draw(overview.statuses(tx, which, limit))


def _outcomes(tx: Transaction, operation: str, limit: int, draw: Draw) -> bytes:
    return draw(operation_reads.outcomes_in_turn(tx, operation, limit))
