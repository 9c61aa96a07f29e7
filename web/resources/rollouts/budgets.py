"""`/cluster/{name}/policy` and `/cluster/{name}/locks`: how many may be away, and who is."""

from collections.abc import Collection

from domain.commands import budget
from domain.log.transaction import Transaction
from domain.log.writer import Writer
from domain.refusal import not_found
from domain.rollouts.budget import checked_budget
from projections import clusters
from projections.hosts import Answer
from projections.past.past_reads import PastReads
from projections.reads import Reads
from projections.rollouts import budgets
from web.http.replies import Reply, answered, created, deleted, digested, json_body
from web.http.requests import Request
from web.resources.at_time import asked_at, told
from web.resources.operations.operation_starts import must_be_a_gate
from web.schemas import bodies
from web.schemas.path_names import address_in, known_cluster
from web.schemas.rollout_bodies import PolicyBody


class Budgets:
    """The handlers of policies and locks of clusters."""

    def __init__(
        self, writer: Writer, reads: Reads, past: PastReads, gates: Collection[str] = ()
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._past = past
        self._gates = gates

    async def show_policy(self, request: Request) -> Reply:
        """What holds for every operation and lock of a cluster."""
        name = known_cluster(request)
        if (at := asked_at(request)) is not None:
            body, tag = await told(request, self._past.fleet(at, _policy, name))
            return answered(request, Answer(_found(body, name), tag))
        return digested(request, _found(await self._reads.fresh(_policy, name), name))

    async def change_policy(self, request: Request) -> Reply:
        """Have this policy from now on; what is not said is not limited."""
        name = known_cluster(request)
        body = await bodies.read(request, PolicyBody)
        most = checked_budget(body.max_unavailable)
        must_be_a_gate(body.gate or "", self._gates)
        record = await self._writer.perform(
            request.act(),
            lambda unit: budget.change_policy(unit, name, most, body.window or "", body.gate or ""),
            lambda tx, _: _found(_policy(tx, name), name),
        )
        return created(record)

    async def show_locks(self, request: Request) -> Reply:
        """The members that restart by themselves, each with a slot of the budget."""
        name = known_cluster(request)
        if (at := asked_at(request)) is not None:
            body, tag = await told(request, self._past.fleet(at, _locks, name))
            return answered(request, Answer(_found(body, name), tag))
        return digested(request, _found(await self._reads.fresh(_locks, name), name))

    async def release(self, request: Request) -> Reply:
        """Free the slot of a member that will not say so itself."""
        name, address = known_cluster(request), address_in(request)
        await self._writer.perform(
            request.act(), lambda unit: budget.release_lock(unit, name, address)
        )
        return deleted()


def _policy(tx: Transaction, name: str) -> bytes | None:
    return json_body(budgets.policy(tx, name)) if clusters.is_there(tx, name) else None


def _locks(tx: Transaction, name: str) -> bytes | None:
    if not clusters.is_there(tx, name):
        return None
    return json_body([_lock(lock) for lock in budgets.locks(tx, name)])


def _lock(lock: dict[str, str]) -> dict[str, str]:
    return {key: lock[key] for key in ("address", "id", "since")}


def _found(body: bytes | None, name: str) -> bytes:
    if body is None:
        raise not_found(f"There is no cluster {name}: create it with PUT first.")
    return body
