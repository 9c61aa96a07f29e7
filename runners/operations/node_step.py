"""What an operation asks of the node that a host is: to be emptied, to be ready, to be used again.

Everything may be asked again, after a crash too: the node itself says what was done.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from runners.container_managers.connections import NoSuchManager
from runners.container_managers.failure import ManagerFailed
from runners.container_managers.kubernetes import Draining

LOOK_S = 1.0
"""How soon a node is looked at again."""


class Node(Protocol):
    """The nodes of one container manager; see `runners.container_managers.kubernetes`. Raises
    `ManagerFailed`."""

    async def cordon(self, address: str, operation: str) -> None:
        """Let no further pods onto this node."""
        ...

    async def uncordon(self, address: str, operation: str = "") -> None:
        """Take away what `cordon` did for this operation."""
        ...

    async def drain(self, address: str) -> Draining:
        """Ask every pod that has to leave to do so, and say how many are still there."""
        ...

    async def is_ready(self, address: str) -> bool:
        """Whether its kubelet says so."""
        ...


Managers = Callable[[str], Awaitable[Node]]
"""A container manager by its name. Raises `NoSuchManager`, `ManagerFailed`."""


@dataclass(frozen=True)
class NodeResult:
    """Whether it is so by now; else why not, when to look again, and whether that may help."""

    done: bool
    why_not: str = ""
    hopeless: bool = False
    again_s: float = LOOK_S


DONE = NodeResult(done=True)


class NodeSteps:
    """Asks container managers; what they cannot do is no exception, but found."""

    def __init__(self, managers: Managers) -> None:
        self._managers = managers

    async def drained(self, manager: str, address: str, operation: str) -> NodeResult:
        """Cordoned, and without pods that have to leave."""

        async def ask(node: Node) -> NodeResult:
            await node.cordon(address, operation)
            draining = await node.drain(address)
            if not draining.left:
                return DONE
            pods = "1 pod is" if draining.left == 1 else f"{draining.left} pods are"
            why = f"{pods} still there. {draining.blocked}".rstrip()
            return NodeResult(done=False, why_not=why, again_s=max(LOOK_S, draining.after_s or 0.0))

        return await self._ask(manager, ask)

    async def uncordoned(self, manager: str, address: str, operation: str) -> NodeResult:
        """Used for pods again, as far as the operation is concerned."""

        async def ask(node: Node) -> NodeResult:
            await node.uncordon(address, operation)
            return DONE

        return await self._ask(manager, ask)

    async def ready(self, manager: str, address: str) -> NodeResult:
        """Ready, as its kubelet and the control plane see it."""

        async def ask(node: Node) -> NodeResult:
            if await node.is_ready(address):
                return DONE
            return NodeResult(done=False, why_not="Its node is not Ready.")

        return await self._ask(manager, ask)

    async def _ask(self, manager: str, ask: Callable[[Node], Awaitable[NodeResult]]) -> NodeResult:
        try:
            return await ask(await self._managers(manager))
        except NoSuchManager:
            why = f"There is no container manager {manager} any more."
            return NodeResult(done=False, why_not=why, hopeless=True)
        except ManagerFailed as failed:
            return NodeResult(
                done=False,
                why_not=failed.reason,
                hopeless=not failed.passing,
                again_s=max(LOOK_S, failed.after_s or 0.0),
            )


async def _nobody(name: str) -> Node:
    raise NoSuchManager(name)


NO_NODES = NodeSteps(_nobody)
"""There is no container manager that runs pods."""
