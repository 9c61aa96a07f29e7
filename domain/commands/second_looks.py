"""Members that have failed are looked at once more before an operation skips them.

What was mended a minute ago would be skipped otherwise, for a reason that is none any more.
"""

from collections.abc import Collection, Iterable

from domain.aggregates.operation import OperationRequest
from domain.commands import operation_commands
from domain.commands.fleet_commands import Unit

LOOKS_MAX = 1_000
"""So many members are looked at once more; what fails by the thousand is not mended one by one."""


def skipped_by_start(
    unit: Unit, request: OperationRequest, matching: Collection[str] = ()
) -> list[str]:
    """The members that a start would skip now; none where nothing would begin."""
    found = operation_commands.plan(unit, request, matching)
    if unit.cluster(request.cluster).operation:
        return []
    return [address for address, _ in found.skipped]


def skipped_by_retry(unit: Unit, predecessor: str) -> list[str]:
    """What a retry would take up, and skip, where it would begin now."""
    before = unit.operation(predecessor)
    cluster = unit.cluster(before.request.cluster)
    if not before.is_over or before.successor or cluster.operation:
        return []
    return [address for address in operation_commands.undone(before) if address in cluster.members]


def ask(unit: Unit, addresses: Iterable[str], not_since: str) -> dict[str, str]:
    """Have those that have failed looked at now; gives when that was asked for, by address.

    One of which that was asked after `not_since` is not asked again.
    """
    failed = [address for address in addresses if unit.host(address).status == "failed"]
    asked = {}
    for address in failed[:LOOKS_MAX]:
        host = unit.host(address)
        host.request_check(not_since)
        asked[address] = host.check_requested_at
    return asked
