"""The reboot of a host, proved by its boot id before and after: an open port proves nothing."""

from domain.aggregates.operation_events import Evidence
from domain.commands import operation_commands
from runners.operations.host_step import CANCEL_LIMIT_S, HostStep
from runners.operations.step_outcomes import StepOutcomes
from runners.scheduling.work_queue import Priority, Requeue
from runners.steps.contact import StepSession
from runners.steps.system_commands import reboot

REBOOT_POLL_S = 1.0
"""How often a host that is to reboot is asked for its boot id."""


class RebootStep:
    """Requests the reboot, and waits for another boot id."""

    def __init__(self, outcomes: StepOutcomes) -> None:
        self._outcomes = outcomes

    async def tick(self, step: HostStep, session: StepSession) -> Requeue:
        """Request the reboot, or compare the boot ids."""
        before = step.progress.boot_id
        report = await session.watch(step.step_id)
        if not before:
            request = operation_commands.request_reboot
            # The host may know of a request that the log has lost: it is not to reboot once more.
            boot_id = report.begun_boot_id or report.boot_id
            if await self._outcomes.record(step, request, boot_id):
                await session.start(step.step_id, reboot(boot_id))
                return Requeue(REBOOT_POLL_S, Priority.CONTINUED)
            return Requeue(0.0, Priority.CONTINUED)
        boot_ids: Evidence = {"boot_id_before": before, "boot_id_after": report.boot_id}
        if report.boot_id != before:
            await self._outcomes.finish(step, boot_ids)
            await session.clear(step.step_id)
            return Requeue(0.0, Priority.CONTINUED)
        late = step.elapsed_s > step.limit_s
        if late or (step.cancelling and report.state in ("absent", "waiting")):
            report = await session.cancel(step.step_id)  # it has not begun, and is not to begin
        elif report.state in ("absent", "waiting"):  # the connection broke before it was sent
            await session.start(step.step_id, reboot(before))
        if step.cancelling and report.state == "cancelled":
            await self._outcomes.fail(step, "It was cancelled before its reboot.", boot_ids)
        elif late and report.boot_id == before and report.state in ("cancelled", "ended", "lost"):
            words = f"It did not reboot within {step.limit_s:g} s: its boot id is the same."
            await self._outcomes.fail(step, words, boot_ids)
        elif late and step.elapsed_s > step.limit_s + CANCEL_LIMIT_S:
            await self._outcomes.mark_unknown(step, "Its reboot could not be stopped.", boot_ids)
        return Requeue(REBOOT_POLL_S, Priority.CONTINUED)
