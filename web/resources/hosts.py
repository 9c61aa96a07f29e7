"""Hosts over HTTP."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Annotated, Any, get_args

from pydantic import Field

from domain.aggregates.host_events import Status
from domain.commands import fleet_commands
from domain.commands.fleet_commands import HostRequest
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal, invalid, not_found
from projections import clusters, hosts
from projections.beside_the_log import heartbeats, update_scans
from projections.hosts import Answer, Filter
from projections.past.past_reads import PastReads
from projections.reads import Reads
from web.http.query_string import cluster_name, number, parameters
from web.http.replies import Reply, answered, created, deleted, unchanged
from web.http.requests import Request
from web.resources import at_time
from web.resources.at_time import asked_at, told
from web.resources.lost import must_not_be_lost
from web.resources.offered_keys import ParseKey, offered
from web.schemas import bodies
from web.schemas.bodies import Address, Name, host_address
from web.schemas.path_names import known_address, new_address, own_address
from web.schemas.records import HostStatusName

LIMIT_MAX = 1_000_000
STATUSES = frozenset(get_args(Status)) - {""}

# Any: annotations.
QUERY: dict[str, Any] = {
    "status": Annotated[HostStatusName, Field(description="Only hosts of this status.")],
    "cluster": Annotated[Name, Field(description="Only members of this cluster.")],
    "after": Annotated[Address, Field(description="Only what sorts after this address.")],
    "limit": Annotated[int, Field(ge=1, le=LIMIT_MAX, description="So many at most.")],
    **at_time.QUERY,
}
"""How the parameters of the list are described; `filter_of` parses them."""


class Hosts:
    """The handlers of `/hosts`, `/host` and `/host/{address}`; `sources` may own hosts.

    `oldest_report()`: what a container manager said before that time says nothing any more.
    """

    def __init__(
        self,
        writer: Writer,
        reads: Reads,
        past_reads: PastReads,
        secrets: fleet_commands.Secrets,
        parse_key: ParseKey,
        sources: Collection[str],
        oldest_report: Callable[[], str],
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._past = past_reads
        self._secrets = secrets
        self._parse_key = parse_key
        self._sources = sources
        self._oldest_report = oldest_report

    async def index(self, request: Request) -> Reply:
        """The records of all hosts, or of those that the query asks for."""
        which = filter_of(request.scope["query_string"])
        if (at := asked_at(request)) is not None:
            return await self._index_at(request, at, which)
        if which.cluster and not await self._reads.point(clusters.is_there, which.cluster):
            raise not_found(f"There is no cluster {which.cluster}.")
        # Most who ask again have it already, and reading the list takes long.
        tag = await self._reads.point(hosts.list_tag)
        if reply := unchanged(request, tag):
            request.rests_on(hosts.list_tag, found=tag)  # the whole list does not: it has times
            return reply
        return answered(request, await self._reads.scan(_listed, which))

    async def _index_at(self, request: Request, at: str, which: Filter) -> Reply:
        reply = unchanged(request, await told(request, self._past.tag(at)))
        if reply is None:
            body, tag = await told(request, self._past.fleet(at, _of_a_cluster, which))
            if body is None:
                raise not_found(f"There was no cluster {which.cluster} at {at}.")
            reply = answered(request, Answer(body, tag))
        return reply

    async def show(self, request: Request) -> Reply:
        """One host's record."""
        address = known_address(request)
        if (at := asked_at(request)) is not None:
            answer, tag = await told(request, self._past.host(at, hosts.host, address))
            if answer is None:
                raise not_found(f"There was no host {address} at {at}.")
            return answered(request, Answer(answer.body, tag))
        answer = await self._reads.point(hosts.host, address)
        request.rests_on(hosts.host, address, found=answer)
        await must_not_be_lost(self._reads, answer, f"host/{address}")
        return answered(request, found(answer, address))

    async def show_status(self, request: Request) -> Reply:
        """One host's status record."""
        address = known_address(request)
        status = await self._reads.point(hosts.host_status, address)
        answer = status and status.unless_said_before(self._oldest_report())
        await must_not_be_lost(self._reads, answer, f"host/{address}")
        return answered(request, found(answer, address))

    async def register(self, request: Request) -> Reply:
        """Register a host; the same again is answered the same."""
        body = await bodies.read(request, bodies.HostBody)
        return await self._register(request, new_address(request), body)

    async def register_itself(self, request: Request) -> Reply:
        """Register the host that asks for it, under the address that it comes from."""
        address = own_address(request)
        body = await bodies.read(request, bodies.OwnHostBody)
        if not _is_own(address, body.address):
            raise invalid(
                f"This path registers {address}, where the request comes from: register another"
                " host with PUT /api/v0/host/ADDRESS.",
                "address",
            )
        return await self._register(request, address, body)

    async def _register(self, request: Request, address: str, body: bodies.HostBody) -> Reply:
        request.must_be_allowed_in(body.cluster)
        is_new = await self._reads.point(hosts.host, address) is None
        wanted = HostRequest(
            await offered(request, body.ssh_priv_key, self._parse_key, now=is_new),
            body.cluster,
            body.remote_user,
            body.ssh_port,
            body.source,
            source_is_there=not body.source or body.source in self._sources,
        )
        record = await self._writer.perform(
            request.act(),
            lambda unit: fleet_commands.register_host(unit, self._secrets, address, wanted),
            lambda tx, _: found(hosts.host(tx, address), address).body,
        )
        return created(record)

    async def remove(self, request: Request) -> Reply:
        """Remove a host, and destroy its credentials.

        Its pinned host key stays, unless an administrator removes it.
        """
        address = known_address(request)
        forget_key = request.identity.may_act_as("admin")

        def remove(unit: Unit) -> None:
            fleet_commands.remove_host(unit, self._secrets, address, forget_key=forget_key)
            unit.write_beside(partial(heartbeats.forget_heartbeat, address=address))
            unit.write_beside(partial(update_scans.forget, address=address))

        await self._writer.perform(request.act(), remove)
        return deleted()


def found(answer: Answer | None, address: str) -> Answer:
    """The answer, or the refusal where there is no such host."""
    if answer is None:
        raise not_found(f"There is no host {address}: register it with PUT first.")
    return answer


def _is_own(own: str, said: object) -> bool:
    if said is None or said == "":
        return True  # nothing was said
    try:
        return isinstance(said, str) and host_address(said) == own
    except Refusal:
        return False


def _of_a_cluster(tx: Transaction, which: Filter) -> bytes | None:
    if which.cluster and not clusters.is_there(tx, which.cluster):
        return None
    return hosts.hosts(tx, which)


def _listed(tx: Transaction, which: Filter) -> Answer:
    return Answer(hosts.hosts(tx, which), hosts.list_tag(tx))


def filter_of(query: bytes) -> Filter:
    """What `?status=&cluster=&after=&limit=` asks for. Refuses bad values."""
    given = parameters(query, QUERY)
    return Filter(
        status=_status(given.get("status")),
        cluster=_cluster(given.get("cluster")),
        after=_after(given.get("after")),
        limit=_limit(given.get("limit")),
    )


def _status(text: str | None) -> str | None:
    if text is not None and text not in STATUSES:
        raise invalid(f"status must be one of {', '.join(sorted(STATUSES))}.", "status")
    return text


def _cluster(text: str | None) -> str | None:
    return text if text is None else cluster_name(text)


def _after(text: str | None) -> str | None:
    return text if text is None else host_address(text, "after")


def _limit(text: str | None) -> int | None:
    return text if text is None else number(text, "limit", 1, LIMIT_MAX)
