"""The last step of a host: it answers for a while without a break, and its node is Ready."""

import asyncio

from runners.operations.host_step import HEALTH_LOOK_S, HostStep, Observed
from runners.operations.node_step import ClusterNodes
from runners.operations.step_outcomes import StepOutcomes
from runners.scheduling.elapsed import GAP_S
from runners.scheduling.work_queue import Priority, Requeue
from runners.steps.contact import StepSession


class HealthStep:
    """Watches a host that answers until it has been healthy for long enough, or too late."""

    def __init__(self, outcomes: StepOutcomes, nodes: ClusterNodes) -> None:
        self._outcomes = outcomes
        self._nodes = nodes

    async def tick(self, step: HostStep, session: StepSession, observed: Observed) -> Requeue:
        """Look once. A reboot, a node that is not Ready, or a long gap begins the time anew."""
        report = await session.watch(step.step_id)
        not_healthy = f"It was not healthy for {step.healthy_for_s:g} s"
        manager = step.progress.container_manager
        if manager and (why_not := (await self._nodes.ready(manager, step.host.name)).why_not):
            observed.healthy_since = None
            if step.is_late:
                await self._outcomes.fail(step, f"{not_healthy}: {why_not}")
            await self._outcomes.tell_wait(step, observed, why_not)
            return Requeue(HEALTH_LOOK_S, Priority.CONTINUED)
        clock = asyncio.get_running_loop().time()
        unseen_s, observed.healthy_at = clock - observed.healthy_at, clock
        same_boot = observed.healthy_boot_id == report.boot_id
        if observed.healthy_since is None or not same_boot or unseen_s > GAP_S:
            observed.healthy_since, observed.healthy_boot_id = clock, report.boot_id
        await self._outcomes.tell_wait(step, observed, "")
        left_s = step.healthy_for_s - (clock - observed.healthy_since)
        if left_s <= 0:
            await self._outcomes.finish(step, {})
            return Requeue(0.0, Priority.CONTINUED)
        if step.is_late:
            await self._outcomes.fail(step, f"{not_healthy}.")
        return Requeue(min(HEALTH_LOOK_S, left_s), Priority.CONTINUED)
