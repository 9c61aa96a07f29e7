"""Hosts over HTTP."""

from collections.abc import Collection
from functools import partial
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qs

from pydantic import Field

from domain import fleet
from domain.fleet import HostRequest
from domain.host import Status
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.names import resource_name
from domain.refusal import Refusal, invalid, not_found
from projections import hosts
from projections.hosts import Answer, Filter
from projections.reads import Reads
from web import bodies
from web.bodies import Address, Name, host_address
from web.keys import ParseKey, offered
from web.names import known_address, new_address, own_address
from web.records import HostStatusName
from web.replies import Reply, answered, created, deleted, unchanged
from web.requests import Request

LIMIT_MAX = 1_000_000
PARAMETERS_MAX = 100
STATUSES = frozenset(get_args(Status)) - {""}

Parameter = Literal["status", "cluster", "after", "limit"]
# Any: annotations.
QUERY: dict[str, Any] = {
    "status": Annotated[HostStatusName, Field(description="Only hosts of this status.")],
    "cluster": Annotated[Name, Field(description="Only members of this cluster.")],
    "after": Annotated[Address, Field(description="Only what sorts after this address.")],
    "limit": Annotated[int, Field(ge=1, le=LIMIT_MAX, description="So many at most.")],
}
"""How the parameters of the list are described; `filter_of` parses them."""


class Hosts:
    """The handlers of `/hosts`, `/host` and `/host/{address}`; `sources` may own hosts."""

    def __init__(
        self,
        writer: Writer,
        reads: Reads,
        secrets: fleet.Secrets,
        parse_key: ParseKey,
        sources: Collection[str],
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._secrets = secrets
        self._parse_key = parse_key
        self._sources = sources

    async def index(self, request: Request) -> Reply:
        """The records of all hosts, or of those that the query asks for."""
        which = filter_of(request.scope["query_string"])
        # Most who ask again have it already, and reading the list takes long.
        reply = unchanged(request, await self._reads.point(hosts.list_tag))
        return reply or answered(request, await self._reads.scan(_listed, which))

    async def show(self, request: Request) -> Reply:
        """One host's record."""
        address = known_address(request)
        return answered(request, found(await self._reads.point(hosts.host, address), address))

    async def show_status(self, request: Request) -> Reply:
        """One host's status record."""
        address = known_address(request)
        answer = await self._reads.point(hosts.host_status, address)
        return answered(request, found(answer, address))

    async def register(self, request: Request) -> Reply:
        """Register a host; the same again is answered the same."""
        return await self._register(request, new_address(request))

    async def register_itself(self, request: Request) -> Reply:
        """Register the host that asks for it, under the address that it comes from."""
        return await self._register(request, own_address(request))

    async def _register(self, request: Request, address: str) -> Reply:
        body = await bodies.read(request, bodies.HostBody)
        is_new = await self._reads.point(hosts.host, address) is None
        wanted = HostRequest(
            await offered(body.ssh_priv_key, self._parse_key, now=is_new),
            body.cluster,
            body.remote_user,
            body.ssh_port,
            body.source,
            source_is_there=not body.source or body.source in self._sources,
        )
        record = await self._writer.perform(
            request.act(),
            lambda unit: fleet.register_host(unit, self._secrets, address, wanted),
            lambda tx, _: found(hosts.host(tx, address), address).body,
        )
        return created(record)

    async def remove(self, request: Request) -> Reply:
        """Remove a host, and destroy its credentials."""
        address = known_address(request)

        def remove(unit: Unit) -> None:
            fleet.remove_host(unit, self._secrets, address)
            unit.also(partial(hosts.forget_heartbeat, address=address))

        await self._writer.perform(request.act(), remove)
        return deleted()


def found(answer: Answer | None, address: str) -> Answer:
    """The answer, or the refusal where there is no such host."""
    if answer is None:
        raise not_found(f"There is no host {address}: register it with PUT first.")
    return answer


def _listed(tx: Transaction, which: Filter) -> Answer:
    return Answer(hosts.hosts(tx, which), hosts.list_tag(tx))


def filter_of(query: bytes) -> Filter:
    """What `?status=&cluster=&after=&limit=` asks for. Refuses bad values; others are ignored."""
    if not query:
        return Filter()
    try:
        given = parse_qs(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError:
        raise invalid("The query is no text, or has too many parameters.") from None
    return Filter(
        status=_status(_one(given, "status")),
        cluster=_cluster(_one(given, "cluster")),
        after=_after(_one(given, "after")),
        limit=_limit(_one(given, "limit")),
    )


def _one(given: dict[str, list[str]], name: Parameter) -> str | None:
    values = given.get(name, [None])
    if len(values) > 1:
        raise invalid(f"{name} is in the query more than once.", name)
    return values[0]


def _status(text: str | None) -> str | None:
    if text is not None and text not in STATUSES:
        raise invalid(f"status must be one of {', '.join(sorted(STATUSES))}.", "status")
    return text


def _cluster(text: str | None) -> str | None:
    return text if text is None else _cluster_name(text)


def _cluster_name(text: str) -> str:
    try:
        return resource_name(text, "cluster name")
    except Refusal as refusal:
        raise invalid(refusal.sentence, "cluster") from None


def _after(text: str | None) -> str | None:
    return text if text is None else host_address(text, "after")


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= LIMIT_MAX):
        raise invalid(f"limit must be a number from 1 to {LIMIT_MAX}.", "limit")
    return int(text)
