"""Rolling operations are begun over HTTP, as v0 has it and by one request for every kind."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from domain.aggregates import rolling_policy
from domain.aggregates.operation import OperationRequest
from domain.aggregates.operation_events import Targets
from domain.aggregates.rolling_policy import Kind, Options
from domain.commands import operation_commands
from domain.commands.planning import Plan
from domain.commands.second_looks import skipped_by_retry, skipped_by_start
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.names import some
from domain.refusal import invalid
from domain.timed_id import timed_id
from projections import operation_reads
from projections.fleet import queries
from projections.fleet.matching import HostFilter
from web.http.query_string import moment
from web.http.replies import UNSTORED, Reply, json_body
from web.http.requests import Request, not_allowed
from web.resources.fleet_filter import checked_filter, told_filter
from web.resources.operations.idempotency import OnceOnly
from web.resources.operations.operations import existing, id_in
from web.resources.operations.second_looks import SecondLooks
from web.routing.route import Handler
from web.schemas import bodies
from web.schemas.fleet_bodies import HostFilters
from web.schemas.operation_bodies import (
    BeginBody,
    DeployBody,
    OperationBody,
    RestartBody,
    UpgradeBody,
)
from web.schemas.path_names import known_cluster

ACCEPTED: Mapping[Kind, type[OperationBody]] = {
    "deploy": DeployBody,
    "upgrade": UpgradeBody,
    "restart": RestartBody,
}
MEMBERS_MAX = 1_000_000


class Asked(NamedTuple):
    """What the body of a `POST /operations` asks for: by filters or not."""

    request: OperationRequest
    which: HostFilter | None

    def matching(self, unit: Unit) -> list[str]:
        """The hosts that the filters let through as of now, in the transaction that decides."""
        return queries.addresses(unit.tx, self.which, MEMBERS_MAX) if self.which else []


def asked_for(body: BeginBody) -> Asked:
    """What a body asks for, or a refusal of what makes no sense."""
    which = _filter_of(body)
    version = _version_of(body)
    targets: Targets = told_filter(which) if which else None
    if isinstance(body.hosts, list):
        targets = body.hosts
    wanted = _wanted(body.kind, body.cluster, version, body, targets)
    return Asked(replace(wanted, script=_script_of(body)), which)


def must_be_a_gate(name: str, known: Collection[str]) -> None:
    """Refuse a gate that is not in the settings."""
    if name and name not in known:
        there = f" (there are {some(sorted(known))})" if known else ""
        raise invalid(
            f"There is no gate {name}: gates are in the settings of the service{there}.", "gate"
        )


class OperationStarts:
    """The handlers of `POST /operations`, `PUT /cluster/{name}/deploy` …, and retries."""

    def __init__(
        self, writer: Writer, second_looks: SecondLooks, gates: Collection[str] = ()
    ) -> None:
        self._writer = writer
        self._gates = gates
        self._second_looks = second_looks

    def start(self, kind: Kind) -> Handler:
        """The handler that begins an operation of a kind."""

        async def handle(request: Request) -> Reply:
            cluster = known_cluster(request)
            body = await bodies.read(request, ACCEPTED[kind])
            version = body.version if isinstance(body, DeployBody) else ""
            wanted = _wanted(kind, cluster, version, body)
            if body.dry_run:
                planned: Plan = await self._writer.perform(
                    request.act(), lambda unit: operation_commands.plan(unit, wanted)
                )
                return Reply(json_body(_told(planned)))
            await self._second_looks.look(request, lambda unit: skipped_by_start(unit, wanted))
            name = timed_id()
            begun, record = await self._writer.perform(
                request.act(),
                lambda unit: operation_commands.start(unit, name, wanted),
                lambda tx, id_: (id_, operation_reads.v0_record(tx, id_).body),
            )
            return _created(begun, record)

        handle.__doc__ = f"Begin a{'n' if kind == 'upgrade' else ''} {kind} of a cluster."
        return handle

    async def begin(self, request: Request) -> Reply:
        """Begin an operation of any kind, on all members of a cluster or on some."""
        body = await bodies.read(request, BeginBody)
        request.must_be_allowed_in(body.cluster)
        asked = asked_for(body)
        must_run_as_admin(request, body.kind, body.cluster)
        if body.override_policy:
            _must_say_why(request, body.cluster)
        wanted = asked.request
        must_be_a_gate(wanted.options.gate, self._gates)
        once = OnceOnly(request, body)
        if body.dry_run:
            planned: Plan = await self._writer.perform(
                request.act(),
                lambda unit: operation_commands.plan(unit, wanted, asked.matching(unit)),
            )
            return Reply(json_body(_told(planned) | {"plan": planned.digest}))

        def skipped(unit: Unit) -> list[str]:
            if once.begun(unit):
                return []
            return skipped_by_start(unit, wanted, asked.matching(unit))

        await self._second_looks.look(request, skipped)
        name = timed_id()

        def start(unit: Unit) -> str:
            if before := once.begun(unit):
                return before
            matching = asked.matching(unit)
            begun = operation_commands.start(unit, name, wanted, matching, body.plan)
            return once.remember(unit, begun)

        begun, record = await self._writer.perform(
            request.act(),
            start,
            lambda tx, id_: (id_, existing(operation_reads.operation(tx, id_)).body),
        )
        return _created(begun, record)

    async def retry(self, request: Request) -> Reply:
        """Begin anew over what was left undone."""
        predecessor = id_in(request)
        await bodies.read(request, bodies.NothingElse)
        before = await self._writer.perform(
            request.act(), lambda unit: unit.operation(predecessor).request
        )
        must_run_as_admin(request, before.kind, before.cluster)
        await self._second_looks.look(request, lambda unit: skipped_by_retry(unit, predecessor))
        name = timed_id()
        begun, record = await self._writer.perform(
            request.act(),
            lambda unit: operation_commands.retry(unit, name, predecessor),
            lambda tx, id_: (id_, existing(operation_reads.operation(tx, id_)).body),
        )
        return _created(begun, record)


def must_run_as_admin(request: Request, kind: Kind, cluster: str) -> None:
    """Refuse whoever may not run any script on the hosts of a cluster."""
    if kind == "run" and not request.identity.may_act_in(cluster, "admin"):
        raise not_allowed(request.identity, "admin")


def _script_of(body: BeginBody) -> str:
    if body.kind == "run" and body.script is None:
        raise invalid("script is missing: a run needs it.", "script")
    if body.kind != "run" and body.script is not None:
        raise invalid(f"script is of a run: a {body.kind} has none.", "script")
    return "" if body.script is None else rolling_policy.checked_script(body.script)


def _must_say_why(request: Request, cluster: str) -> None:
    """Refuse whoever may not override a policy, or does not say why."""
    if not request.identity.may_act_in(cluster, "admin"):
        raise not_allowed(request.identity, "admin")
    if not request.act().note:
        raise invalid("Say why in Commissaire-Note: the policy is overridden.", "override_policy")


def _wanted(
    kind: Kind, cluster: str, version: str, body: OperationBody, targets: Targets = None
) -> OperationRequest:
    keys = Options.__dataclass_fields__.keys()
    given: dict[str, Any] = body.model_dump(include=set(keys), exclude_unset=True)
    if given.get("starts_at"):
        given["starts_at"] = moment(given["starts_at"], "starts_at")
    options = rolling_policy.checked_options(kind, given)
    if kind == "deploy":
        version = rolling_policy.checked_version(version)
    return OperationRequest(kind, cluster, version, options, targets)


def _version_of(body: BeginBody) -> str:
    if body.kind == "deploy" and body.version is None:
        raise invalid("version is missing: a deploy needs it.", "version")
    if body.kind != "deploy" and body.version is not None:
        raise invalid(f"version is of a deploy: an {body.kind} has none.", "version")
    return body.version or ""


def _filter_of(body: BeginBody) -> HostFilter | None:
    """Which hosts the filters mean, of the members of the cluster."""
    if not isinstance(body.hosts, HostFilters):
        return None
    which = checked_filter(body.hosts.model_dump(exclude_none=True))
    if which.cluster not in (None, body.cluster):
        raise invalid("hosts.cluster is another one than cluster.", "hosts")
    return which._replace(cluster=body.cluster)


def _told(plan: Plan) -> dict[str, Any]:
    wanted = plan.request
    return {
        "cluster": wanted.cluster,
        "kind": wanted.kind,
        "version": wanted.version,
        "options": wanted.options.plain(),
        "hosts": [address for address, _ in plan.hosts],
        "drained": plan.drained,
        "skipped": [{"address": a, "reason": why} for a, why in plan.skipped],
        "max_parallel": plan.limits.parallel,
        "max_failures": plan.limits.failures,
        "max_unavailable": plan.limits.unavailable,
        "waves": plan.waves,
    }


def _created(name: str, record: bytes) -> Reply:
    location = f"/api/v0/operation/{name}".encode()
    return Reply(record, 201, (*UNSTORED, (b"location", location)))
