"""What happened to one host or cluster, as a person asks for it."""

from domain.log.reading.search import Filter
from domain.refusal import not_found
from projections import causes, history, operation_reads
from projections.causes import Causes
from projections.history import Page, Record
from projections.reads import Reads
from web.events.events import next_link, page_of
from web.http.query_string import parameters
from web.http.replies import STORED, Reply, json_body, tagged
from web.http.requests import Request
from web.schemas.path_names import known_address, known_cluster


class Histories:
    """The handlers of `/host/{address}/history` and `/cluster/{name}/history`."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def of_host(self, request: Request) -> Reply:
        """What happened to a host, oldest first; also to one that is gone."""
        return await self._history(request, "host", known_address(request))

    async def of_cluster(self, request: Request) -> Reply:
        """What happened to a cluster, oldest first; also to one that is gone."""
        return await self._history(request, "cluster", known_cluster(request))

    async def newest(self, limit: int, until: str | None = None) -> list[Record]:
        """The newest events of all, newest first; for pages."""
        return await self._reads.fresh(history.newest, limit, until)

    async def newest_of(self, subject: str, limit: int, until: str = "") -> list[Record]:
        """The newest events of a host, a cluster or an operation, newest first; for pages."""
        return (await self.back(Filter((subject,), until=until or None), None, limit)).records

    async def head_of(self, subject: str) -> int:
        """The position of the newest event of a subject; for pages."""
        return await self._reads.fresh(history.head_of, subject)

    async def back(self, which: Filter, before: int | None, limit: int) -> Page:
        """The newest events before a position that a filter lets through; for pages."""
        return await self._reads.fresh(history.back, which, before, limit)

    async def login_key(self, address: str, until: str = "") -> str:
        """The fingerprint of the key that a host is logged in to with; for pages."""
        return await self._reads.fresh(history.login_key, f"host/{address}", until or None)

    async def outcomes(self, address: str, operations: list[str]) -> dict[str, str]:
        """What became of a host in operations, by their ids; for pages."""
        if not operations:
            return {}
        return await self._reads.fresh(operation_reads.outcomes, address, operations)

    async def causes(self, position: int) -> Causes:
        """The tree of causes that an event is in; for pages. Refuses a position without one."""
        found = await self._reads.fresh(causes.causes, position)
        if found is None:
            raise not_found(f"There is no event at position {position}.")
        return found

    async def _history(self, request: Request, kind: str, name: str) -> Reply:
        given = parameters(request.scope["query_string"], ("after", "limit"))
        after, limit = page_of(given)
        page = await self._reads.fresh(history.history, f"{kind}/{name}", after, limit)
        if page is None:
            raise not_found(f"Nothing was ever heard of {kind} {name}.")
        headers = [*STORED]
        if page.next is not None:
            path = f"/api/v0/{kind}/{name}/history"
            headers.append((b"link", next_link(path, {"after": page.next, "limit": limit})))
        return tagged(request, json_body(page.records), headers)
