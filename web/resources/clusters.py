"""Clusters and their members over HTTP."""

from functools import partial

from domain.commands import fleet_commands
from domain.log.writer import Writer
from domain.refusal import not_found
from projections import clusters
from projections.hosts import Answer
from projections.past.past_reads import PastReads
from projections.reads import Reads
from web.http.replies import Reply, answered, created, deleted, digested, json_body
from web.http.requests import Request
from web.resources.at_time import asked_at, told
from web.resources.lost import must_not_be_lost
from web.schemas import bodies
from web.schemas.path_names import address_in, known_address, known_cluster, new_name


class Clusters:
    """The handlers of `/clusters` and `/cluster/…`."""

    def __init__(self, writer: Writer, reads: Reads, past: PastReads) -> None:
        self._writer = writer
        self._reads = reads
        self._past = past

    async def index(self, request: Request) -> Reply:
        """The names of all clusters."""
        if (at := asked_at(request)) is not None:
            return answered(
                request, Answer(*await told(request, self._past.fleet(at, clusters.names)))
            )
        names = await self._reads.point(clusters.names)
        request.rests_on(clusters.names, found=names)
        return digested(request, names)

    async def show(self, request: Request) -> Reply:
        """One cluster's record."""
        name = known_cluster(request)
        if (at := asked_at(request)) is not None:
            answer, tag = await told(request, self._past.cluster(at, clusters.cluster, name))
            return answered(request, Answer(_found_at(answer, name, at).body, tag))
        answer = await self._reads.point(clusters.cluster, name)
        request.rests_on(clusters.cluster, name, found=answer)
        await must_not_be_lost(self._reads, answer, f"cluster/{name}")
        return answered(request, _found(answer, name))

    async def create(self, request: Request) -> Reply:
        """Create a cluster; the same again is answered the same."""
        name = new_name(request)
        wanted = await bodies.read(request, bodies.ClusterBody)
        record = await self._writer.perform(
            request.act(),
            lambda unit: fleet_commands.create_cluster(
                unit, name, wanted.network, wanted.container_manager
            ),
            lambda tx, _: _found(clusters.cluster(tx, name), name).body,
        )
        return created(record)

    async def remove(self, request: Request) -> Reply:
        """Remove a cluster; a large one in several steps, between which others get their turn."""
        name = known_cluster(request)
        gone = await self._writer.perform(
            request.act(), lambda unit: fleet_commands.remove_cluster(unit, name)
        )
        while not gone:
            gone = await self._writer.perform(
                request.act(), partial(fleet_commands.go_on_removing, name=name)
            )
        return deleted()

    async def members(self, request: Request) -> Reply:
        """The members' addresses, in order of joining."""
        name = known_cluster(request)
        if (at := asked_at(request)) is not None:
            answer, tag = await told(request, self._past.members(at, clusters.members, name))
            return answered(request, Answer(_found_at(answer, name, at).body, tag))
        return answered(request, _found(await self._reads.scan(clusters.members, name), name))

    async def replace_members(self, request: Request) -> Reply:
        """Swap the member list, if it is still what the client thinks."""
        name = known_cluster(request)
        wanted = await bodies.read(request, bodies.MembersBody)
        members = await self._writer.perform(
            request.act(),
            lambda unit: fleet_commands.replace_members(unit, name, wanted.old, wanted.new),
            lambda tx, _: _found(clusters.members(tx, name), name).body,
        )
        return Reply(members)

    async def show_member(self, request: Request) -> Reply:
        """Whether a host is a member."""
        name, address = known_cluster(request), known_address(request)
        if (at := asked_at(request)) is not None:
            was, tag = await told(
                request, self._past.members(at, clusters.is_member, name, address)
            )
            if not was:
                raise not_found(f"{address} was no member of {name} at {at}.")
            return answered(request, Answer(json_body([address]), tag))
        if not await self._reads.point(clusters.is_member, name, address):
            raise not_found(f"{address} is no member of {name}.")
        return digested(request, json_body([address]))

    async def add_member(self, request: Request) -> Reply:
        """Make a host a member."""
        name, address = known_cluster(request), known_address(request)
        await bodies.read(request, bodies.NoBody)
        await self._writer.perform(
            request.act(), lambda unit: fleet_commands.join(unit, name, address)
        )
        return Reply(json_body([address]))

    async def remove_member(self, request: Request) -> Reply:
        """Make a host no member; what cannot be a host is none already."""
        name, address = known_cluster(request), address_in(request)
        await self._writer.perform(
            request.act(), lambda unit: fleet_commands.leave(unit, name, address)
        )
        return deleted()


def _found_at(answer: Answer | None, name: str, at: str) -> Answer:
    if answer is None:
        raise not_found(f"There was no cluster {name} at {at}.")
    return answer


def _found(answer: Answer | None, name: str) -> Answer:
    if answer is None:
        raise not_found(f"There is no cluster {name}: create it with PUT first.")
    return answer
