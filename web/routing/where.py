"""Which cluster a request acts on: whoever has a role there may do there what it lets them."""

from collections.abc import Mapping
from typing import Literal

from starlette.types import Scope

from domain.refusal import Refusal
from projections import hosts, operation_reads
from projections.planning import schedules
from projections.reads import Reads
from web.schemas.bodies import host_address

ActsOn = Literal["", "cluster", "host", "operation", "schedule", "body"]
"""What of a route says which cluster it acts on. "": none, or all of them."""

TOLD: Mapping[ActsOn, str] = {
    "": "",
    "cluster": "that cluster",
    "host": "the cluster of the host",
    "operation": "the cluster of the operation",
    "schedule": "the cluster of its operation",
    "body": "the `cluster` of the body",
}
"""The same, for people."""


class Where:
    """Looks up the clusters of hosts and of operations, as they are now."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def cluster(self, acts_on: ActsOn, path_params: Mapping[str, str]) -> str:
        """The cluster that a path acts on; "" is none. The body is not looked at."""
        match acts_on:
            case "cluster":
                return path_params["name"]
            case "host":
                try:
                    address = host_address(path_params["address"])
                except Refusal:
                    return ""
                return await self._reads.point(hosts.cluster_of, address)
            case "operation":
                return await self._reads.point(operation_reads.cluster_of, path_params["id"])
            case "schedule":
                return await self._reads.point(schedules.cluster_of, path_params["name"])
            case _:
                return ""


def where(scope: Scope) -> Where:
    """That of the application."""
    found: Where = scope["app"].state.where
    return found
