"""Who of a cluster is away, and whether another may go: one budget for all who take hosts."""

from collections.abc import Callable, Mapping

from domain.aggregates.operation import Operation
from domain.commands.fleet_commands import Unit
from domain.refusal import Refusal, conflict, not_found
from domain.rollouts.amounts import Amount
from domain.rollouts.budget import SLOTS, has_room, most_away
from domain.rollouts.moves import Wait

Away = Callable[[], set[str]]
"""Who of the cluster is away, where that is asked: each member is looked at, so once at most."""


def not_available(unit: Unit, cluster: str) -> set[str]:
    """Members that are not active, and those that hold a lock."""
    found = unit.cluster(cluster)
    failed = {address for address in found.members if unit.host(address).status != "active"}
    return failed | found.locks.keys()


def within_policy(unit: Unit, operation: Operation, address: str, away: Away) -> Wait | None:
    """Why the policy of its cluster holds an operation back from its next host."""
    request = operation.request
    cluster = unit.cluster(request.cluster)
    if address in cluster.locks:
        return Wait(f"{address} holds a lock of the cluster: it restarts by itself.", "members")
    allowed = cluster.max_unavailable
    if allowed is None or request.options.override_policy:
        return None
    busy = operation.with_outcome("in_process")
    most = most_away(allowed, len(cluster.members))
    if has_room(away() | {*busy}, address, most):
        return None
    why = f"{most} unavailable at most, as the policy of cluster {cluster.name} has it."
    # What the operation itself takes away comes back by itself, and is not worth an event.
    return Wait(why, "" if busy else "members")


def change_policy(
    unit: Unit, name: str, max_unavailable: Amount | None, window: str = "", gate: str = ""
) -> None:
    """Have this policy in a cluster from now on; nobody removes the window that it names."""
    cluster = unit.cluster(name)
    before = cluster.window
    cluster.change_policy(max_unavailable, window, gate)
    if before and before != window:
        unit.window(before).release(cluster.id)
    if window:
        unit.window(window).take_up(cluster.id, "window")


class Unasked(Refusal):
    """A gate is to be asked before a lock is given."""

    def __init__(self, gate: str) -> None:
        super().__init__("conflict", f"Gate {gate} is to be asked: try again later.")
        self.gate = gate


def take_lock(
    unit: Unit, name: str, address: str, client: str, verdicts: Mapping[str, str] | None = None
) -> None:
    """Let a member restart by itself. Its own lock is taken again without another slot.

    A lock is of the client that took it: two behind one address are two, and have one slot.
    `verdicts`: what the gate of the policy has just answered. Raises `Unasked` without.
    """
    cluster = unit.cluster(name)
    cluster.must_exist()
    if address not in cluster.members:
        raise not_found(f"{address} is no member of cluster {name}.")
    if holder := cluster.locks.get(address):
        if holder == client:
            return
        raise conflict(
            f"{address} holds a lock as {holder}: it says that it is back, or an administrator"
            f" releases the lock at /cluster/{name}/locks."
        )
    if cluster.window and not unit.window(cluster.window).opening(cluster.act.at).is_open:
        raise conflict(f"Window {cluster.window} of cluster {name} is closed: try again later.")
    away = {*cluster.locks}
    if cluster.operation:
        busy = unit.operation(cluster.operation).with_outcome("in_process")
        if address in busy:
            raise conflict(f"Operation {cluster.operation} works on {address}.")
        away |= {*busy}
    allowed = SLOTS if cluster.max_unavailable is None else cluster.max_unavailable
    most = most_away(allowed, len(cluster.members))
    # Clients ask again and again: no member is looked at where the slots are taken without.
    if has_room(away, address, most):
        away |= not_available(unit, name)
    if not has_room(away, address, most):
        raise conflict(f"{len(away)} of {most} slots of cluster {name} are taken: try again later.")
    if cluster.gate and cluster.gate not in (verdicts or {}):
        raise Unasked(cluster.gate)
    if why := (verdicts or {}).get(cluster.gate):
        raise conflict(f"Gate {cluster.gate} says no: {why}: try again later.")
    cluster.take_lock(address, client)


def give_lock(unit: Unit, name: str, address: str, client: str) -> None:
    """The member is back. A lock that another client took is not given back by this one."""
    cluster = unit.cluster(name)
    cluster.must_exist()
    if cluster.locks.get(address) == client:
        cluster.give_lock(address, "unlocked")


def release_lock(unit: Unit, name: str, address: str) -> None:
    """An administrator frees the slot of a member, whoever holds it there."""
    cluster = unit.cluster(name)
    cluster.must_exist()
    if address not in cluster.locks:
        raise not_found(f"{address} holds no lock of cluster {name}.")
    cluster.give_lock(address, "released")
