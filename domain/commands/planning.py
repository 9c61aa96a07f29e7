"""What an operation would do: to which members, in which order, and who is skipped."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import blake2b

import orjson

from domain.aggregates.host import READY
from domain.aggregates.operation import OperationRequest
from domain.aggregates.rolling_policy import Limits, limits
from domain.commands.fleet_commands import Unit
from domain.refusal import conflict, invalid
from domain.rollouts.waves import in_waves

PLAN_BYTES = 16


@dataclass(frozen=True)
class Plan:
    """What an operation would do: hosts in order with attempts before, others with why not.

    `drained`: those of the hosts whose pods leave first; `waves`: how many hosts have had their
    turn at the end of each.
    """

    request: OperationRequest
    hosts: list[tuple[str, int]]
    skipped: list[tuple[str, str]]
    limits: Limits
    drained: list[str]
    members: int
    waves: list[int]

    @property
    def digest(self) -> str:
        """The same for two plans that do the same; why a host is skipped does not matter."""
        wanted = self.request
        decided = (
            *(wanted.kind, wanted.cluster, wanted.version, wanted.script, wanted.options.plain()),
            [address for address, _ in self.hosts],
            [address for address, _ in self.skipped],
            *(self.drained, self.limits.parallel, self.limits.failures, self.limits.unavailable),
        )
        return blake2b(orjson.dumps(decided), digest_size=PLAN_BYTES).hexdigest()


def of_members(unit: Unit, request: OperationRequest, matching: Collection[str]) -> Plan:
    """Which members are taken of those that are asked for; `matching` is as for `plan`."""
    return of(unit, request, dict.fromkeys(_targeted(unit, request, matching), 0))


def _targeted(unit: Unit, request: OperationRequest, matching: Collection[str]) -> Collection[str]:
    """The addresses that are asked for, in order of joining."""
    members = unit.cluster(request.cluster).members
    if request.targets is None:
        return members
    wanted = set(request.targets if isinstance(request.targets, list) else matching)
    targeted = [address for address in members if address in wanted]
    if not targeted:
        raise conflict(f"No member of cluster {request.cluster} is what hosts asks for.", "hosts")
    return targeted


def of(
    unit: Unit, request: OperationRequest, candidates: dict[str, int], *, strict: bool = True
) -> Plan:
    """Who is taken of the candidates (address, and attempts before), in order of turn.

    `strict`: a wave of a label that none of them has is refused.
    """
    taken, skipped = list[str](), []
    members = unit.cluster(request.cluster).members
    for address in candidates:
        host = unit.host(address)
        if address not in members:
            skipped.append((address, "It is no member of the cluster any more."))
        elif host.status in READY:
            taken.append(address)
        else:
            why = f": {host.failure.reason}" if host.failure else "."
            skipped.append((address, f"It is {host.status}{why}"))
    order, waves = in_waves(
        request.options.waves,
        taken,
        lambda address, key, value: unit.host(address).labels.get(key) == value,
        strict=strict,
    )
    hosts = [(address, candidates[address]) for address in order]
    drained = [a for a in order if request.options.drain and manager_of(unit, request, a)]
    found = limits(request.options, len(hosts), max(len(members), len(candidates)))
    return Plan(request, hosts, skipped, found, drained, len(members), waves)


def decided(unit: Unit, request: OperationRequest) -> OperationRequest:
    """With `drain` as it comes to: wherever there are pods, unless it was said."""
    window = request.options.window
    if window and not unit.window(window).exists:
        raise conflict(f"There is no window {window}: define it first.", "window")
    name = unit.cluster(request.cluster).container_manager
    drains = bool(name) and not unit.container_manager(name).keeps_nodes_itself
    if request.options.drain is None:
        return replace(request, options=replace(request.options, drain=drains))
    if request.options.drain and not drains:
        raise invalid(
            f"drain needs a container manager that runs pods (openshift, kubernetes), and cluster"
            f" {request.cluster} has none.",
            "drain",
        )
    return request


def asked(unit: Unit, request: OperationRequest) -> OperationRequest:
    """With the members that it names in order of joining, and all else as it comes to."""
    request = decided(unit, request)
    if not isinstance(request.targets, list):
        return request
    members, wanted = unit.cluster(request.cluster).members, set(request.targets)
    if wanted - members.keys():
        stranger = next(address for address in request.targets if address not in members)
        raise conflict(f"{stranger} is no member of cluster {request.cluster}.", "hosts")
    return replace(request, targets=[address for address in members if address in wanted])


def manager_of(unit: Unit, request: OperationRequest, address: str) -> str:
    """The container manager that a host is a node of, where that is one that runs pods."""
    name = unit.cluster(request.cluster).container_manager
    manager = unit.container_manager(name) if name else None
    runs_pods = manager is not None and not manager.keeps_nodes_itself
    return name if runs_pods and manager is not None and address in manager.nodes else ""
