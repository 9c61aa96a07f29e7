"""Takes one host of an operation through its steps: load, do one thing, record.

Nothing that matters is remembered: what is sent to a host is in the log before, and a host is asked
by the step's id whether a step that may have been sent has begun.
"""

from collections import defaultdict
from collections.abc import Callable, Container
from dataclasses import replace
from functools import partial

from domain.commands import operation_commands
from runners.hosts.outcomes import HostKeyChanged, HostUnusable, defects_as_failures
from runners.leases.ownership import SINGLE_PROCESS, Ownership, permitted
from runners.operations.command_step import CommandStep, commands_of
from runners.operations.health_step import HealthStep
from runners.operations.host_step import (
    CANCEL_LIMIT_S,
    CONTACT_LIMIT_S,
    CONTACT_PAUSES,
    REFUSED_LIMIT_S,
    EventLog,
    HostStep,
    Observed,
)
from runners.operations.node_step import NO_NODES, ClusterNodes, NodeStep
from runners.operations.reboot_step import RebootStep
from runners.operations.step_outcomes import StepOutcomes
from runners.scheduling.protocols import Writes
from runners.scheduling.work_queue import Priority, Requeue
from runners.steps.contact import Connector
from runners.steps.system_commands import StepImpossible, waits_for


class HostDriver:
    """Ticks of hosts. `now()` gives the time for events."""

    def __init__(
        self,
        writer: Writes,
        log: EventLog,
        connector: Connector,
        nodes: ClusterNodes = NO_NODES,
        *,
        now: Callable[[], str],
        on_defect: Callable[[str, Exception], None],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._log = log
        self._connector = connector
        self._now = now
        self._on_defect = on_defect
        self._ownership = ownership
        self._outcomes = StepOutcomes(writer, now, ownership)
        self._command = CommandStep(log, self._outcomes, now)
        self._reboot = RebootStep(log, self._outcomes)
        self._health = HealthStep(self._outcomes, nodes)
        self._node = NodeStep(self._outcomes, nodes)
        self._observed: defaultdict[str, Observed] = defaultdict(Observed)
        """By `OPERATION ADDRESS`."""

    def forget_those(self, keys: Container[str]) -> None:
        """Forget what was observed of hosts that are another process's by now."""
        for key in [key for key in self._observed if key in keys]:
            del self._observed[key]

    async def tick(
        self, name: str, address: str, is_cancelling: Callable[[], bool] = lambda: False
    ) -> Requeue | None:
        """Do one thing for the host, and say when to do the next; None where nothing is left.

        A session with the host is cut short once `is_cancelling()`.
        """
        operation = await self._log.operation(name)
        progress = operation.hosts.get(address)
        if progress is None or progress.outcome != "in_process":
            self._observed.pop(f"{name} {address}", None)
            return None
        # As of now: the operation follows the log while others read it.
        progress, cancel_at = replace(progress), operation.cancel_at
        host = await self._log.load(address)
        observed = self._observed[f"{name} {address}"]

        def passed_s(since: str) -> float:
            return observed.passed_s(since, self._now())

        passed_s(progress.step_at)  # its time is counted from here on, whoever asks for it
        step = HostStep(operation, host, progress, cancel_at, passed_s)
        try:
            with defects_as_failures("step", partial(self._on_defect, address), passing=True):
                return await self._take(step, observed, is_cancelling)
        except HostKeyChanged as changed:
            if step.is_rebooting and not step.is_late:
                # What asks for the key of its disk while it boots has a host key of its own.
                passing = HostUnusable("unreachable", changed.reason, passing=True)
                return await self._out_of_reach(step, observed, passing)
            await self._outcomes.refuse_key(step, changed)
        except HostUnusable as failed:
            return await self._out_of_reach(step, observed, failed)
        return Requeue(0.0, Priority.CONTINUED)

    async def _take(
        self, step: HostStep, observed: Observed, is_cancelling: Callable[[], bool]
    ) -> Requeue | None:
        address = step.host.name
        # Nothing that a container manager is asked for is checked on the host.
        permitted(self._ownership, address)
        if step.progress.step == "uncordon":
            return await self._node.uncordon(step, observed)
        if await self._ended_without_contact(step):
            return Requeue(0.0, Priority.CONTINUED)
        async with self._connector(step.host) as session:
            if not observed.answered:
                await self._outcomes.tell_wait(step, observed, await self._said(step))
            observed.failed_contacts, observed.silent_since, observed.answered = 0, None, True
            match step.progress.step:
                case "drain":
                    await session.watch(step.step_id)  # no pod leaves for a host that is away
                    permitted(self._ownership, address)  # the host may have taken long to answer
                    return await self._node.drain(step, observed)
                case "reboot":
                    return await self._reboot.tick(step, session)
                case "health":
                    return await self._health.tick(step, session, observed)
                case _:
                    return await self._command.tick(step, session, is_cancelling)

    async def _said(self, step: HostStep) -> str:
        """What the host said last that its step waits for: beside that, it is the host itself."""
        if step.progress.step in ("upgrade", "deploy"):
            return waits_for(await self._log.output(*step.key))
        return ""

    async def _ended_without_contact(self, step: HostStep) -> bool:
        """Whether the step was cancelled in time, or is impossible: nothing is sent then."""
        if step.cancelling and not step.progress.sent:
            # Any other process that would send it has to record that first, and is refused.
            words = f"It was cancelled before its step '{step.progress.step}'."
            await self._outcomes.fail(step, words)
            return True
        if step.operation.request.kind == "restart" or step.progress.step in ("reboot", "health"):
            return False
        try:
            commands_of(step)
        except StepImpossible as impossible:
            await self._outcomes.fail(step, str(impossible))
            return True
        return False

    async def _out_of_reach(
        self, step: HostStep, observed: Observed, failed: HostUnusable
    ) -> Requeue:
        """Come back later; past its limit, the step has failed, or its outcome is unknown."""
        lose_touch = partial(self._outcomes.lose_touch, step, failed)
        if step.progress.step == "health":
            observed.healthy_since = None
            if step.is_late:
                words = f"It was not healthy for {step.healthy_for_s:g} s."
                await lose_touch(operation_commands.fail_host, words)
        elif step.progress.step != "drain" and step.progress.sent:
            if not _is_given_up(step, failed):
                pass
            elif failed.nothing_began:
                await lose_touch(operation_commands.fail_host, "Nothing of its step has begun.")
            else:
                words = "What became of its step is not known."
                await lose_touch(operation_commands.mark_unknown, words)
        else:
            is_draining = step.progress.step == "drain"
            silent_s = observed.silent_for_s() if is_draining else step.elapsed_s
            if not failed.passing or silent_s > min(CONTACT_LIMIT_S, step.limit_s):
                await lose_touch(operation_commands.fail_host, "Nothing was sent to it.")
        if not (step.is_rebooting and failed.passing):
            await self._outcomes.tell_wait(step, observed, failed.reason)
        observed.failed_contacts, observed.answered = observed.failed_contacts + 1, False
        return Requeue(CONTACT_PAUSES.after(observed.failed_contacts), Priority.CONTINUED)


def _is_given_up(step: HostStep, failed: HostUnusable) -> bool:
    """Whether a host that was sent a step has not answered for too long."""
    if step.cancelling and not step.is_rebooting:
        return failed.nothing_began or step.cancelled_for_s > CANCEL_LIMIT_S
    limit_s = step.limit_s if failed.passing else min(step.limit_s, REFUSED_LIMIT_S)
    return step.elapsed_s > limit_s
