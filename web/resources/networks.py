"""Networks over HTTP."""

from domain.aggregates.network import network_request
from domain.log.writer import Writer
from domain.refusal import not_found
from projections import networks
from projections.hosts import Answer
from projections.reads import Reads
from web.http.replies import Reply, answered, created, deleted, digested
from web.http.requests import Request
from web.schemas import bodies
from web.schemas.path_names import known_name, new_name


class Networks:
    """The handlers of `/networks` and `/network/{name}`."""

    def __init__(self, writer: Writer, reads: Reads) -> None:
        self._writer = writer
        self._reads = reads

    async def index(self, request: Request) -> Reply:
        """The names of all networks, with the built-in one."""
        return digested(request, await self._reads.point(networks.names))

    async def show(self, request: Request) -> Reply:
        """One network's record."""
        name = known_name(request, "network")
        return answered(request, _found(await self._reads.point(networks.network, name), name))

    async def create(self, request: Request) -> Reply:
        """Create a network; the same again is answered the same."""
        name = new_name(request)
        body = await bodies.read(request, bodies.NetworkBody)
        wanted = network_request(body.type, body.options)
        record = await self._writer.perform(
            request.act(),
            lambda unit: unit.network(name).create(wanted),
            lambda tx, _: _found(networks.network(tx, name), name).body,
        )
        return created(record)

    async def remove(self, request: Request) -> Reply:
        """Remove a network that no cluster uses."""
        name = known_name(request, "network")
        await self._writer.perform(request.act(), lambda unit: unit.network(name).remove())
        return deleted()


def _found(answer: Answer | None, name: str) -> Answer:
    if answer is None:
        raise not_found(f"There is no network {name}: create it with PUT first.")
    return answer
