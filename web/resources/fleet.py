"""The fleet over HTTP: all in small, pages of wide records, and how many there are of each kind."""

from collections.abc import Collection
from functools import partial
from typing import Any

from domain.log.transaction import Transaction
from projections.fleet import queries
from projections.fleet.facets import facets
from projections.fleet.matching import HostFilter
from projections.fleet.queries import HostPage, Page
from projections.past.past_reads import PastReads
from projections.reads import Reads
from web.http.pages import link_to
from web.http.replies import STORED, Reply, digested, json_body, tagged
from web.http.requests import POSITION_KEY, Request
from web.resources.at_time import asked_at, told
from web.resources.fleet_filter import filter_of, must_be_a_cluster, page_of


class Fleet:
    """The handlers of `/fleet`, `/fleet/hosts` and `/fleet/facets`."""

    def __init__(self, reads: Reads, past_reads: PastReads, sources: Collection[str]) -> None:
        self._reads = reads
        self._past = past_reads
        self._sources = frozenset(sources)

    async def show(self, request: Request) -> Reply:
        """The state of everything in one small answer, whatever the size of the fleet."""
        if (at := asked_at(request)) is not None:
            was = await told(request, self._past.fleet(at, partial(queries.fleet, past=True)))
            return digested(
                request, json_body(was.found | {"position": request.scope[POSITION_KEY]})
            )
        fleet = await self._reads.point(queries.fleet, self._sources)
        request.scope[POSITION_KEY] = fleet["position"]
        return digested(request, json_body(fleet))

    async def hosts(self, request: Request) -> Reply:
        """A page of the hosts that the query asks for, with all that is known of each."""
        query = request.scope["query_string"]
        which, wanted = filter_of(query), page_of(query)
        if (at := asked_at(request)) is not None:
            was = await told(request, self._past.fleet(at, _past_page, which, wanted))
            page = was.found
        else:
            await must_be_a_cluster(self._reads, which)
            page = await self._reads.scan(queries.hosts, which, wanted)
        headers = [*STORED]
        if page.next is not None:
            headers.append(link_to(request, page.next))
        return tagged(request, page.body, headers)

    async def facets(self, request: Request) -> Reply:
        """How many hosts match the query, by status, kind of failure, cluster, system and label."""
        which = filter_of(request.scope["query_string"])
        if (at := asked_at(request)) is not None:
            was = await told(request, self._past.fleet(at, facets, which))
            return digested(request, json_body(was.found))
        await must_be_a_cluster(self._reads, which)
        found: dict[str, Any] = await self._reads.scan(facets, which)
        return digested(request, json_body(found))


def _past_page(tx: Transaction, which: HostFilter, wanted: Page) -> HostPage:
    return queries.hosts(tx, which, wanted, past=True)
