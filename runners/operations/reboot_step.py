"""The reboot of a host, proved by its boot id before and after: an open port proves nothing."""

from domain.aggregates.host_progress import HostProgress
from domain.aggregates.operation_events import Evidence
from domain.commands import operation_commands
from runners.operations.host_step import CANCEL_LIMIT_S, EventLog, HostStep
from runners.operations.step_outcomes import StepOutcomes
from runners.scheduling.work_queue import Priority, Requeue
from runners.steps.contact import StepSession
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import reboot, sentences

REBOOT_POLL_S = 1.0
"""How often a host that is to reboot is asked for its boot id."""
KILLED = 128
"""Exit statuses from here on are of a shell that a signal ended: it may be going down."""
CAME_BACK = (
    "It had rebooted for the operation that this one retries, and came back after its limit."
)
CONTAINER = "It is a container: its first process is another one since, its boot id the machine's."


class RebootStep:
    """Requests the reboot, and waits for another boot id."""

    def __init__(self, log: EventLog, outcomes: StepOutcomes) -> None:
        self._log = log
        self._outcomes = outcomes

    async def tick(self, step: HostStep, session: StepSession) -> Requeue:
        """Request the reboot, or compare the boot ids."""
        before = step.progress.boot_id
        report = await session.watch(step.step_id)
        if not before:
            earlier = await self._requested_before(step)
            if earlier and report.boot_id != earlier:
                late: Evidence = {"boot_id_before": earlier, "boot_id_after": report.boot_id}
                await self._outcomes.finish(step, late | {"told": CAME_BACK})
                return Requeue(0.0, Priority.CONTINUED)
            request = operation_commands.request_reboot
            # The host may know of a request that the log has lost: it is not to reboot once more.
            boot_id = report.begun_boot_id or report.boot_id
            if await self._outcomes.record(step, request, boot_id):
                await session.start(step.step_id, reboot(boot_id))
                return Requeue(REBOOT_POLL_S, Priority.CONTINUED)
            return Requeue(0.0, Priority.CONTINUED)
        boot_ids: Evidence = {"boot_id_before": before, "boot_id_after": report.boot_id}
        if report.reborn:
            boot_ids["told"] = CONTAINER
        if report.boot_id != before or report.reborn:
            await self._outcomes.finish(step, boot_ids)
            await session.clear(step.step_id)
            return Requeue(0.0, Priority.CONTINUED)
        if _is_refused(report):
            why = sentences(report.output) or f"exit status {report.exit_status}."
            evidence = boot_ids | {"exit_status": report.exit_status}
            await self._outcomes.fail(step, f"It refused to reboot: {why}", evidence)
            await session.clear(step.step_id)
            return Requeue(0.0, Priority.CONTINUED)
        is_late = step.is_late
        if is_late or (step.cancelling and report.state in ("absent", "waiting")):
            report = await session.cancel(step.step_id)  # it has not begun, and is not to begin
        elif report.state in ("absent", "waiting"):  # the connection broke before it was sent
            await session.start(step.step_id, reboot(before))
        if step.cancelling and report.state == "cancelled":
            await self._outcomes.fail(step, "It was cancelled before its reboot.", boot_ids)
        elif (
            is_late and report.boot_id == before and report.state in ("cancelled", "ended", "lost")
        ):
            words = f"It did not reboot within {step.limit_s:g} s: its boot id is the same."
            await self._outcomes.fail(step, words, boot_ids)
        elif is_late and step.elapsed_s > step.limit_s + CANCEL_LIMIT_S:
            await self._outcomes.mark_unknown(step, "Its reboot could not be stopped.", boot_ids)
        return Requeue(REBOOT_POLL_S, Priority.CONTINUED)

    async def _requested_before(self, step: HostStep) -> str:
        """The boot that an operation which this one retries was to end; "" where there is none,
        and where something may have been installed since.
        """
        operation, evidence = step.operation, step.progress.evidence
        is_restart = operation.request.kind == "restart"
        is_always = operation.request.options.reboot == "always"
        if not is_restart and not (is_always and evidence.get("packages_changed") == 0):
            return ""
        while operation.predecessor:
            operation = await self._log.operation(operation.predecessor)
            host = operation.hosts.get(step.host.name)
            if host is not None and host.boot_id:
                return host.boot_id
            if host is not None and not is_restart and _may_have_installed(host):
                return ""
        return ""


def _may_have_installed(host: HostProgress) -> bool:
    """Whether an operation that requested no reboot of the host got as far as its packages."""
    begun = host.sent if host.step in ("upgrade", "deploy", "run") else host.step == "reboot"
    return begun and host.evidence.get("packages_changed") != 0


def _is_refused(report: StepReport) -> bool:
    """Whether the host said, in the boot that was to end, that it does not reboot."""
    return report.state == "ended" and 0 < (report.exit_status or 0) < KILLED
