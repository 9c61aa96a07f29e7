"""Rolling operations over HTTP: begin, watch and steer them."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field

from domain.aggregates import rolling_policy
from domain.aggregates.operation import OperationRequest
from domain.aggregates.rolling_policy import Kind, Options
from domain.commands import operation_commands
from domain.commands.operation_commands import Plan
from domain.log.transaction import Transaction
from domain.log.writer import Writer
from domain.names import quoted
from domain.refusal import invalid, not_found
from domain.timed_id import timed_id
from projections import clusters, operation_reads
from projections.beside_the_log import outputs
from projections.hosts import Answer
from projections.operation_reads import Filter
from projections.reads import Reads
from web.http.query_string import cluster_name, parameters
from web.http.replies import (
    INERT,
    NO_STORE,
    NOSNIFF,
    UNSTORED,
    Reply,
    answered,
    digested,
    json_body,
)
from web.http.requests import Request
from web.http.shown_text import shown
from web.resources.lost import must_not_be_lost
from web.routing.route import Handler
from web.schemas import bodies
from web.schemas.operation_bodies import (
    DeployBody,
    OperationBody,
    RestartBody,
    StateBody,
    UpgradeBody,
)
from web.schemas.path_names import address_in, known_cluster

ACCEPTED: Mapping[Kind, type[OperationBody]] = {
    "deploy": DeployBody,
    "upgrade": UpgradeBody,
    "restart": RestartBody,
}
PLAIN_TEXT = (b"content-type", b"text/plain; charset=utf-8")
ATTACHMENT = (b"content-disposition", b'attachment; filename="output"')
# Any: annotations.
OUTPUT_QUERY: dict[str, Any] = {
    "raw": Annotated[
        str, Field(description="The bytes as they came, as a file. It has no value.", max_length=0)
    ]
}


class Operations:
    """The handlers of `/cluster/{name}/deploy` and its like, `/operations` and `/operation/…`."""

    def __init__(self, writer: Writer, reads: Reads) -> None:
        self._writer = writer
        self._reads = reads

    def start(self, kind: Kind) -> Handler:
        """The handler that begins an operation of a kind."""

        async def handle(request: Request) -> Reply:
            cluster = known_cluster(request)
            body = await bodies.read(request, ACCEPTED[kind])
            wanted = _wanted(kind, cluster, body)
            if body.dry_run:
                return await self._plan(request, wanted)
            name = timed_id()
            begun, record = await self._writer.perform(
                request.act(),
                lambda unit: operation_commands.start(unit, name, wanted),
                lambda tx, id_: (id_, operation_reads.v0_record(tx, id_).body),
            )
            return _created(begun, record)

        handle.__doc__ = f"Begin a{'n' if kind == 'upgrade' else ''} {kind} of a cluster."
        return handle

    async def _plan(self, request: Request, wanted: OperationRequest) -> Reply:
        found: Plan = await self._writer.perform(
            request.act(), lambda unit: operation_commands.plan(unit, wanted)
        )
        return Reply(
            json_body(
                {
                    "cluster": wanted.cluster,
                    "kind": wanted.kind,
                    "version": wanted.version,
                    "options": found.request.options.plain(),
                    "hosts": [address for address, _ in found.hosts],
                    "drained": found.drained,
                    "skipped": [{"address": a, "reason": why} for a, why in found.skipped],
                    "max_parallel": found.limits.parallel,
                    "max_failures": found.limits.failures,
                    "max_unavailable": found.limits.unavailable,
                }
            )
        )

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
        which = filter_of(request.scope["query_string"])
        if which.cluster and not await self._reads.point(_is_known, which.cluster):
            raise not_found(f"There is no cluster {which.cluster}, and it has had no operation.")
        return digested(request, await self._reads.scan(operation_reads.operations, which))

    async def show(self, request: Request) -> Reply:
        """One operation with its hosts."""
        name = _id(request)
        answer = await self._reads.scan(operation_reads.operation, name)
        await must_not_be_lost(self._reads, answer, f"operation/{name}")
        return answered(request, _found(answer))

    async def steer(self, request: Request) -> Reply:
        """Pause, resume or cancel."""
        name = _id(request)
        wanted = await bodies.read(request, StateBody)
        record = await self._writer.perform(
            request.act(),
            lambda unit: operation_commands.steer(unit, name, wanted.state),
            lambda tx, _: _found(operation_reads.operation(tx, name)).body,
        )
        return Reply(record, 201)

    async def retry(self, request: Request) -> Reply:
        """Begin anew over what was left undone."""
        predecessor = _id(request)
        await bodies.read(request, bodies.NothingElse)
        name = timed_id()
        begun, record = await self._writer.perform(
            request.act(),
            lambda unit: operation_commands.retry(unit, name, predecessor),
            lambda tx, id_: (id_, _found(operation_reads.operation(tx, id_)).body),
        )
        return _created(begun, record)

    async def output(self, request: Request) -> Reply:
        """What a host's step has said so far.

        Characters that a terminal or a page would obey are shown (`\\x1b`); with `?raw` they are as
        they came, and the answer is a file to be kept.
        """
        name, address = _id(request), address_in(request)
        raw = _is_raw(request.scope["query_string"])
        said = await self._reads.fresh(_output, name, address)
        if said is None:
            raise not_found(f"There is no host {quoted(address)} in operation {quoted(name)}.")
        if raw:
            return Reply(said, 200, (PLAIN_TEXT, ATTACHMENT, NO_STORE, NOSNIFF, INERT))
        text = await asyncio.to_thread(shown, said)
        return Reply(text, 200, (PLAIN_TEXT, NO_STORE, NOSNIFF, INERT))


def _id(request: Request) -> str:
    text: str = request.path_params["id"]
    if not bodies.OPERATION_ID.fullmatch(text):
        raise not_found(f"There is no operation {quoted(text)}: GET /api/v0/operations lists them.")
    return text


def _wanted(kind: Kind, cluster: str, body: OperationBody) -> OperationRequest:
    version = body.version if isinstance(body, DeployBody) else ""
    keys = Options.__dataclass_fields__.keys()
    given: dict[str, Any] = body.model_dump(include=set(keys), exclude_unset=True)
    options = rolling_policy.checked_options(kind, given)
    return OperationRequest(
        kind, cluster, rolling_policy.checked_version(version) if kind == "deploy" else "", options
    )


def _created(name: str, record: bytes) -> Reply:
    location = f"/api/v0/operation/{name}".encode()
    return Reply(record, 201, (*UNSTORED, (b"location", location)))


def _found(answer: Answer | None) -> Answer:
    if answer is None:
        raise not_found("There is no such operation: GET /api/v0/operations lists them.")
    return answer


def _output(tx: Transaction, name: str, address: str) -> bytes | None:
    if not operation_reads.takes_part(tx, name, address):
        return None
    return outputs.output(tx, name, address)


def _is_raw(query: bytes) -> bool:
    found = parameters(query, OUTPUT_QUERY)
    if found.get("raw"):
        raise invalid("raw takes no value.", "raw")
    return "raw" in found


def _is_known(tx: Transaction, cluster: str) -> bool:
    return clusters.is_there(tx, cluster) or operation_reads.had_any(tx, cluster)


def filter_of(query: bytes) -> Filter:
    """What `?cluster=&status=&kind=` asks for. Refuses bad values."""
    found = parameters(query, Filter._fields)
    for key, known in (("status", get_args(rolling_policy.Status)), ("kind", get_args(Kind))):
        if key in found and found[key] not in known:
            raise invalid(f"{key} must be one of {', '.join(known)}.", key)
    if "cluster" in found:
        cluster_name(found["cluster"])
    return Filter(**found)
