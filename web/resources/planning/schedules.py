"""Schedules over HTTP."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import orjson

from domain.aggregates.planning.firings import checked_cron, checked_zone
from domain.commands import schedule_commands
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal, invalid, not_found
from projections.hosts import Answer
from projections.past.past_reads import PastReads
from projections.planning import schedules
from projections.reads import Reads
from web.http.problems import KeyFault, Problem
from web.http.replies import Reply, answered, created, deleted, digested
from web.http.requests import Request
from web.resources.at_time import asked_at, told
from web.resources.operations.operation_starts import (
    Asked,
    asked_for,
    must_be_a_gate,
    must_run_as_admin,
)
from web.schemas import bodies
from web.schemas.operation_bodies import BeginBody
from web.schemas.path_names import known_name, new_name
from web.schemas.planning.bodies import ScheduleBody

ONCE = ("dry_run", "plan", "starts_at", "override_policy")
"""What is of one request alone, and not of all to come."""


class Schedules:
    """The handlers of `/schedules` and `/schedule/{name}`. `now()` gives the time."""

    def __init__(
        self,
        writer: Writer,
        reads: Reads,
        past: PastReads,
        now: Callable[[], str],
        gates: Collection[str] = (),
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._past = past
        self._now = now
        self._gates = gates

    async def index(self, request: Request) -> Reply:
        """All schedules, and when they fire next."""
        if (at := asked_at(request)) is not None:
            body, tag = await told(request, self._past.fleet(at, schedules.schedules, at))
            return answered(request, Answer(body, tag))
        return digested(request, await self._reads.fresh(schedules.schedules, self._now()))

    async def show(self, request: Request) -> Reply:
        """One schedule: when it fires next, and what became of its last firing."""
        name = known_name(request, "schedule")
        if (at := asked_at(request)) is not None:
            query = partial(schedules.schedule, at=at)
            body, tag = await told(request, self._past.schedule(at, query, name))
            if body is None:
                raise not_found(f"There was no schedule {name} at {at}.")
            return answered(request, Answer(body, tag))
        found = await self._reads.fresh(schedules.schedule, name, self._now())
        return digested(request, _found(found, name))

    async def define(self, request: Request) -> Reply:
        """Define a schedule, or change it: it fires from now on."""
        name = new_name(request)
        body = await bodies.read(request, ScheduleBody)
        asked = _operation_of(body.operation, self._gates).request
        cluster = asked.cluster
        request.must_be_allowed_in(cluster)
        must_run_as_admin(request, asked.kind, cluster)
        cron, zone = checked_cron(body.cron, "cron"), checked_zone(body.zone)

        def define(unit: Unit) -> None:
            unit.cluster(cluster).must_exist()
            schedule_commands.define(unit, name, cron, zone, body.operation)

        act = request.act()
        record = await self._writer.perform(
            act, define, lambda tx, _: _found(schedules.schedule(tx, name, act.at), name)
        )
        return created(record)

    async def remove(self, request: Request) -> Reply:
        """Remove a schedule: it fires no more, and what it began goes on."""
        name = known_name(request, "schedule")
        await self._writer.perform(request.act(), lambda unit: schedule_commands.remove(unit, name))
        return deleted()


# Any: plain JSON.
def _operation_of(operation: Mapping[str, Any], gates: Collection[str]) -> Asked:
    """What each firing asks for. Refuses, by its key, what `POST /operations` would."""
    for key in ONCE:
        if key in operation:
            raise invalid(f"operation.{key} is of one request: leave it out.", f"operation.{key}")
    try:
        asked = parsed(operation)
        must_be_a_gate(asked.request.options.gate, gates)
    except Problem as problem:
        faults = [KeyFault(f"operation.{key}", message) for key, message in problem.errors]
        raise Problem(problem.kind, f"operation: {problem.detail}", faults) from None
    except Refusal as refusal:
        key = f"operation.{refusal.key}" if refusal.key else "operation"
        raise Refusal(refusal.kind, f"operation: {refusal.sentence}", key) from None
    return asked


# Any: plain JSON.
def parsed(operation: Mapping[str, Any]) -> Asked:
    """What the body of a `POST /operations` asks for. Raises `Problem`, or a `Refusal`."""
    return asked_for(bodies.parse(orjson.dumps(operation), BeginBody))


def _found(body: bytes | None, name: str) -> bytes:
    if body is None:
        raise not_found(f"There is no schedule {name}: define it with PUT first.")
    return body
