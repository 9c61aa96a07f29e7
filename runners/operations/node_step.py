"""The steps of the node that a host is: it is drained first, and uncordoned at the end.

Both may be repeated, after a crash too: the node itself shows what was done.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from runners.container_managers.connections import NoSuchManager
from runners.container_managers.failure import ManagerFailed
from runners.container_managers.kubernetes import Draining
from runners.operations.host_step import AFTER_LIMIT_S, HostStep, Observed
from runners.operations.step_outcomes import StepOutcomes
from runners.scheduling.work_queue import Priority, Requeue

NODE_POLL_S = 1.0
"""How often a container manager is asked about a node that is not drained or ready."""


class Node(Protocol):
    """The nodes of one container manager; see `runners.container_managers.kubernetes`. Raises
    `ManagerFailed`."""

    async def cordon(self, address: str, operation: str) -> None: ...

    async def uncordon(self, address: str, operation: str = "") -> None: ...

    async def drain(self, address: str) -> Draining: ...

    async def is_ready(self, address: str) -> bool: ...


Managers = Callable[[str], Awaitable[Node]]
"""A container manager by its name. Raises `NoSuchManager`, `ManagerFailed`."""


@dataclass(frozen=True)
class NodeResult:
    """Whether the node is as asked; else why not, whether that is final, and when to ask again."""

    done: bool
    why_not: str = ""
    hopeless: bool = False
    again_s: float = NODE_POLL_S


DONE = NodeResult(done=True)


class ClusterNodes:
    """Nodes by container manager and address. What a manager cannot do is a result, not raised."""

    def __init__(self, managers: Managers) -> None:
        self._managers = managers

    async def drained(self, manager: str, address: str, operation: str) -> NodeResult:
        """Cordon the node and evict its pods; done when all that have to leave are gone."""

        async def ask(node: Node) -> NodeResult:
            await node.cordon(address, operation)
            draining = await node.drain(address)
            if not draining.left:
                return DONE
            pods = "1 pod is" if draining.left == 1 else f"{draining.left} pods are"
            why = f"{pods} still there. {draining.blocked}".rstrip()
            return NodeResult(
                done=False, why_not=why, again_s=max(NODE_POLL_S, draining.after_s or 0.0)
            )

        return await self._ask(manager, ask)

    async def uncordoned(self, manager: str, address: str, operation: str) -> NodeResult:
        """Undo the operation's cordon."""

        async def ask(node: Node) -> NodeResult:
            await node.uncordon(address, operation)
            return DONE

        return await self._ask(manager, ask)

    async def ready(self, manager: str, address: str) -> NodeResult:
        """Whether the node is Ready."""

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
                again_s=max(NODE_POLL_S, failed.after_s or 0.0),
            )


async def _no_manager(name: str) -> Node:
    raise NoSuchManager(name)


NO_NODES = ClusterNodes(_no_manager)
"""For where no container manager runs pods."""


class NodeStep:
    """Takes a host's node through a step, and records what came of it."""

    def __init__(self, outcomes: StepOutcomes, nodes: ClusterNodes) -> None:
        self._outcomes = outcomes
        self._nodes = nodes

    async def drain(self, step: HostStep, observed: Observed) -> Requeue:
        """Cordon the node, and evict its pods until all have left."""
        name, address = step.key
        found = await self._nodes.drained(step.progress.container_manager, address, name)
        return await self._record(step, observed, found, "Its node could not be drained")

    async def uncordon(self, step: HostStep, observed: Observed) -> Requeue:
        """Undo the cordon of the operation."""
        name, address = step.key
        found = await self._nodes.uncordoned(step.progress.container_manager, address, name)
        words = "All was done, but its node could not be uncordoned"
        return await self._record(step, observed, found, words)

    async def _record(
        self, step: HostStep, observed: Observed, found: NodeResult, words: str
    ) -> Requeue:
        """The step is done, or has failed for good, or is repeated until its limit."""
        left_s = step.limit_s - step.elapsed_s
        if found.done:
            await self._outcomes.finish(step, {})
        elif found.hopeless:
            await self._outcomes.fail(step, f"{words}: {found.why_not}")
        elif left_s < 0:
            reason = f"{words} within {step.limit_s:g} s: {found.why_not}"
            await self._outcomes.fail(step, reason)
        else:
            await self._outcomes.tell_wait(step, observed, found.why_not)
            return Requeue(min(found.again_s, left_s + AFTER_LIMIT_S), Priority.CONTINUED)
        return Requeue(0.0, Priority.CONTINUED)
