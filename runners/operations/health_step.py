"""The last step of a host: it answers for a while without a break, and its node is Ready."""

import asyncio
from collections.abc import Callable

from runners.operations.host_step import HEALTH_LOOK_S, HostStep, Observed
from runners.operations.node_step import ClusterNodes
from runners.operations.step_outcomes import StepOutcomes
from runners.scheduling.work_queue import Priority, Requeue
from runners.steps.contact import StepSession


class HealthStep:
    """Watches a host that answers until it has been healthy for long enough, or too late."""

    def __init__(self, outcomes: StepOutcomes, nodes: ClusterNodes, now: Callable[[], str]) -> None:
        self._outcomes = outcomes
        self._nodes = nodes
        self._now = now

    async def tick(self, step: HostStep, session: StepSession, observed: Observed) -> Requeue:
        """Look once. A reboot, or a node that is not Ready, begins the time anew."""
        report = await session.watch(step.step_id)
        not_healthy = f"It was not healthy for {step.healthy_for_s:g} s"
        manager = step.progress.container_manager
        if manager and (why_not := (await self._nodes.ready(manager, step.host.name)).why_not):
            observed.healthy_since = None
            if step.is_late(self._now()):
                await self._outcomes.fail(step, f"{not_healthy}: {why_not}")
            return Requeue(HEALTH_LOOK_S, Priority.CONTINUED)
        clock = asyncio.get_running_loop().time()
        if observed.healthy_since is None or observed.healthy_boot_id != report.boot_id:
            observed.healthy_since, observed.healthy_boot_id = clock, report.boot_id
        left_s = step.healthy_for_s - (clock - observed.healthy_since)
        if left_s <= 0:
            await self._outcomes.finish(step, {})
            return Requeue(0.0, Priority.CONTINUED)
        if step.elapsed_s > step.limit_s:
            await self._outcomes.fail(step, f"{not_healthy}.")
        return Requeue(min(HEALTH_LOOK_S, left_s), Priority.CONTINUED)
