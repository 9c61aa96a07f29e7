"""Rolling operations over HTTP: watch and steer them."""

import re
from typing import get_args

from domain.aggregates.rolling_policy import Kind, Outcome
from domain.commands import approvals, operation_commands
from domain.log.recorder import POSITION_MAX
from domain.log.transaction import Transaction
from domain.log.writer import Writer
from domain.names import quoted
from domain.refusal import invalid, not_found
from domain.rollouts import moves
from projections import clusters, operation_reads
from projections.hosts import Answer
from projections.operation_reads import PAGE_DEFAULT, PAGE_MAX, Filter, Place
from projections.reads import Reads
from web.http.pages import paged
from web.http.query_string import (
    TEXT,
    TEXT_CHARACTERS_MAX,
    cluster_name,
    number,
    parameters,
)
from web.http.replies import Reply, answered
from web.http.requests import Request
from web.resources.lost import must_not_be_lost
from web.routing.route import Handler
from web.schemas import bodies
from web.schemas.operation_bodies import ApprovalBody, StateBody
from web.schemas.path_names import known_cluster


class Operations:
    """The handlers of `/cluster/{name}/deploy` and its like, `/operations` and `/operation/…`."""

    def __init__(self, writer: Writer, reads: Reads) -> None:
        self._writer = writer
        self._reads = reads

    def latest(self, kind: Kind) -> Handler:
        """The handler that shows the latest operation of a kind on a cluster."""

        async def handle(request: Request) -> Reply:
            cluster = known_cluster(request)
            answer = await self._reads.scan(operation_reads.latest, cluster, kind)
            if answer is None:
                raise not_found(f"There is no cluster {cluster}, or it has had no {kind} yet.")
            return answered(request, answer)

        handle.__doc__ = f"The latest {kind} of a cluster."
        return handle

    async def index(self, request: Request) -> Reply:
        """Every operation ever run, newest first, or those that the query asks for."""
        query = request.scope["query_string"]
        which = filter_of(query)
        if which.cluster and not await self._reads.point(_is_known, which.cluster):
            raise not_found(f"There is no cluster {which.cluster}, and it has had no operation.")
        page = await self._reads.scan(operation_reads.operations, which, place_of(query))
        return paged(request, page)

    async def show(self, request: Request) -> Reply:
        """One operation with its hosts."""
        name = id_in(request)
        query = (
            operation_reads.operation
            if _with_hosts(request.scope["query_string"])
            else operation_reads.without_hosts
        )
        answer = await self._reads.scan(query, name)
        await must_not_be_lost(self._reads, answer, f"operation/{name}")
        return answered(request, existing(answer))

    async def hosts(self, request: Request) -> Reply:
        """A page of the hosts of one operation: those that it takes in order, then the others."""
        name, query = id_in(request), request.scope["query_string"]
        outcome = outcome_of(query)
        page = await self._reads.scan(operation_reads.hosts, name, outcome, place_of(query))
        await must_not_be_lost(self._reads, page, f"operation/{name}")
        if page is None:
            raise not_found(f"There is no operation {name}: GET /api/v0/operations lists them.")
        return paged(request, page)

    async def approve(self, request: Request) -> Reply:
        """Approve the next wave."""
        name = id_in(request)
        wanted = await bodies.read(request, ApprovalBody)
        record = await self._writer.perform(
            request.act(),
            lambda unit: approvals.approve(unit, name, wanted.wave),
            lambda tx, _: existing(operation_reads.operation(tx, name)).body,
        )
        return Reply(record, 201)

    async def steer(self, request: Request) -> Reply:
        """Pause, resume or cancel."""
        name = id_in(request)
        wanted = await bodies.read(request, StateBody)
        record = await self._writer.perform(
            request.act(),
            lambda unit: operation_commands.steer(unit, name, wanted.state),
            lambda tx, _: existing(operation_reads.operation(tx, name)).body,
        )
        return Reply(record, 201)


def id_in(request: Request) -> str:
    """The id in a path. Refuses what can be none."""
    text: str = request.path_params["id"]
    if not bodies.OPERATION_ID.fullmatch(text):
        raise not_found(f"There is no operation {quoted(text)}: GET /api/v0/operations lists them.")
    return text


def existing(answer: Answer | None) -> Answer:
    """The operation, or a refusal where there is none."""
    if answer is None:
        raise not_found("There is no such operation: GET /api/v0/operations lists them.")
    return answer


def _is_known(tx: Transaction, cluster: str) -> bool:
    return clusters.is_there(tx, cluster) or operation_reads.had_any(tx, cluster)


def filter_of(query: bytes) -> Filter:
    """What `?cluster=&status=&kind=` asks for. Refuses bad values."""
    found = parameters(query, Filter._fields)
    for key, known in (("status", get_args(moves.Status)), ("kind", get_args(Kind))):
        if key in found and found[key] not in known:
            raise invalid(f"{key} must be one of {', '.join(known)}.", key)
    if "cluster" in found:
        cluster_name(found["cluster"])
    if "actor" in found and not re.fullmatch(TEXT, found["actor"]):
        raise invalid(f"actor must be 1 to {TEXT_CHARACTERS_MAX} ASCII characters.", "actor")
    return Filter(**found)


def outcome_of(query: bytes) -> str | None:
    """What `?outcome=` asks for. Refuses what is none."""
    outcome, known = parameters(query, ("outcome",)).get("outcome"), get_args(Outcome)
    if outcome not in (None, *known):
        raise invalid(f"outcome must be one of {', '.join(known)}.", "outcome")
    return outcome


def place_of(query: bytes) -> Place:
    """What `?limit=&after=` asks for. Refuses bad values."""
    given = parameters(query, ("limit", "after"))
    limit, after = given.get("limit"), given.get("after")
    return Place(
        PAGE_DEFAULT if limit is None else number(limit, "limit", 1, PAGE_MAX),
        None if after is None else number(after, "after", 0, POSITION_MAX),
    )


def _with_hosts(query: bytes) -> bool:
    wanted = parameters(query, ("hosts",)).get("hosts", "true")
    if wanted not in ("true", "false"):
        raise invalid("hosts must be true or false.", "hosts")
    return wanted == "true"
