"""Takes one host of an operation through its steps: load, do one thing, record.

Nothing is remembered that matters. What was sent to a host is in the log before it is sent, and a
step that may have been sent is asked about on the host, under its id, before anything else.
"""

import asyncio
import hashlib
from collections.abc import Callable, Container
from dataclasses import replace
from functools import partial
from typing import Any

from domain.aggregates.operation_events import Evidence
from domain.aggregates.rolling_policy import seconds_between
from domain.commands import operation_commands
from domain.event import Act
from domain.log.unit import Unit
from projections.beside_the_log import outputs
from runners.hosts.outcomes import (
    HostKeyChanged,
    HostUnusable,
    defects_as_failures,
)
from runners.leases.ownership import SINGLE_PROCESS, Ownership, permitted
from runners.operations.host_step import (
    CANCEL_LIMIT_S,
    CONTACT_LIMIT_S,
    HEALTH_LOOK_S,
    LOOK_AGAIN_S,
    REBOOT_LOOK_S,
    REFUSED_LIMIT_S,
    RETRY_FIRST_S,
    RETRY_GROWTH,
    RETRY_MAX_S,
    EventLog,
    HostStep,
)
from runners.operations.node_step import NO_NODES, NodeResult, NodeSteps
from runners.scheduling.protocols import Writes
from runners.scheduling.work_queue import Priority, Requeue
from runners.steps.contact import Connector, StepSession
from runners.steps.detached_step import OUTPUT_BYTES_MAX, Command, StepReport
from runners.steps.polling import POLL_FIRST_S, POLL_GROWTH, POLL_MAX_S, SESSION_S
from runners.steps.system_commands import Commands, StepImpossible, commands, reboot

ACTOR = "runner:rolling"


class HostDriver:
    """The ticks. `now()` gives the time for events; `cancelling` has operations to be cancelled."""

    def __init__(
        self,
        writer: Writes,
        log: EventLog,
        connector: Connector,
        nodes: NodeSteps = NO_NODES,
        *,
        now: Callable[[], str],
        on_defect: Callable[[str, Exception], None],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._writer = writer
        self._log = log
        self._ownership = ownership
        self._connector = connector
        self._nodes = nodes
        self._now = now
        self._on_defect = on_defect
        self._pauses_s: dict[tuple[str, str], float] = {}
        self._healthy: dict[tuple[str, str], tuple[float, str]] = {}
        self._unseen: dict[tuple[str, str], float] = {}  # since when, while its pods leave

    def forget_those(self, keys: Container[str]) -> None:
        """Others work on these hosts: what was seen of them is old when they come back to us."""
        for seen in (self._pauses_s, self._healthy, self._unseen):
            for key in [key for key in seen if " ".join(key) in keys]:
                del seen[key]

    async def tick(
        self, name: str, address: str, is_cancelling: Callable[[], bool] = lambda: False
    ) -> Requeue | None:
        """Do what comes next, and say when to come back; None where nothing is left to do."""
        operation = await self._log.operation(name)
        progress = operation.hosts.get(address)
        if progress is None or progress.outcome != "in_process":
            self._pauses_s.pop((name, address), None)
            self._healthy.pop((name, address), None)
            self._unseen.pop((name, address), None)
            return None
        # As it is now: others may follow the log meanwhile.
        progress, cancel_at = replace(progress), operation.cancel_at
        host = await self._log.load(address)
        task = HostStep(operation, host, progress, self._now(), cancel_at)
        try:
            with defects_as_failures("step", partial(self._on_defect, address), passing=True):
                # Were we held up? What is asked of a container manager is not checked on the host.
                permitted(self._ownership, address)
                if task.progress.step == "uncordon":
                    return await self._uncordon(task) if self._ownership.holds(address) else None
                if not await self._ended_without_contact(task):
                    async with self._connector(task.host) as contact:
                        self._pauses_s.pop(task.key, None)
                        self._unseen.pop(task.key, None)
                        return await self._work(task, contact, is_cancelling)
        except HostKeyChanged as other:
            await self._refuse_key(task, other)
        except HostUnusable as failed:
            return await self._out_of_reach(task, failed)
        return Requeue(0.0, Priority.CONTINUED)

    async def _work(
        self, task: HostStep, contact: StepSession, is_cancelling: Callable[[], bool]
    ) -> Requeue:
        match task.progress.step:
            case "drain":
                await contact.watch(task.step_id)  # pods do not leave for a host that is away
                return await self._drain(task)
            case "reboot":
                return await self._reboot(task, contact)
            case "health":
                return await self._health(task, contact)
            case _:
                return await self._run(task, contact, is_cancelling)

    # What needs no contact

    async def _ended_without_contact(self, task: HostStep) -> bool:
        if task.cancelling and not task.progress.sent:
            # Whoever sends it says so in the log before, and is refused from now on.
            await self._fail(task, f"It was cancelled before its step '{task.progress.step}'.")
            return True
        try:
            self._commands(task)
        except StepImpossible as impossible:
            await self._fail(task, str(impossible))
            return True
        return False

    def _commands(self, task: HostStep) -> Commands:
        request = task.operation.request
        if request.kind == "restart" or task.progress.step in ("reboot", "health"):
            return reboot(task.progress.boot_id)
        if task.host.facts is None:
            raise StepImpossible("Nothing is known of its system yet.")
        return commands(request.kind, request.version, task.host.facts)

    async def _out_of_reach(self, task: HostStep, failed: HostUnusable) -> Requeue:
        """Come back later, until the limit: then the step has failed, or nobody can tell."""
        if task.progress.step == "drain":
            clock = asyncio.get_running_loop().time()
            if not failed.passing or clock - self._unseen.setdefault(task.key, clock) > min(
                CONTACT_LIMIT_S, task.limit_s
            ):
                await self._lose_touch(
                    task, failed, operation_commands.fail_host, "Nothing was sent to it."
                )
        elif not task.progress.sent and task.progress.step != "health":
            if not failed.passing or task.elapsed_s > min(CONTACT_LIMIT_S, task.limit_s):
                await self._lose_touch(
                    task, failed, operation_commands.fail_host, "Nothing was sent to it."
                )
        elif task.progress.step == "health":
            self._healthy.pop(task.key, None)
            if task.elapsed_s > task.limit_s:
                words = f"It was not healthy for {task.healthy_for_s:g} s."
                await self._lose_touch(task, failed, operation_commands.fail_host, words)
        elif self._is_given_up(task, failed):
            words = "What became of its step is not known."
            await self._lose_touch(task, failed, operation_commands.mark_unknown, words)
        pause_s = self._pauses_s.get(task.key, RETRY_FIRST_S)
        self._pauses_s[task.key] = min(RETRY_MAX_S, pause_s * RETRY_GROWTH)
        return Requeue(pause_s, Priority.CONTINUED)

    @staticmethod
    def _is_given_up(task: HostStep, failed: HostUnusable) -> bool:
        if task.cancelling and not task.is_rebooting:
            return task.cancelled_for_s > CANCEL_LIMIT_S
        limit_s = task.limit_s if failed.passing else min(task.limit_s, REFUSED_LIMIT_S)
        return task.elapsed_s > limit_s

    async def _lose_touch(
        self, task: HostStep, failed: HostUnusable, command: Callable[..., None], words: str
    ) -> None:
        name, address = task.key
        reason = f"{failed.reason} {words}"

        def record(unit: Unit) -> None:
            now = unit.operation(name).hosts[address]
            if (now.step, now.sent) != (task.progress.step, task.progress.sent):
                return  # it was sent meanwhile, perhaps by us a moment ago: that changes the case
            operation_commands.fail_itself(unit, name, address, failed.kind, failed.reason)
            command(unit, name, address, task.progress.step, reason, {})

        await self._record(task, record)

    async def _refuse_key(self, task: HostStep, other: HostKeyChanged) -> None:
        name, address = task.key

        def record(unit: Unit) -> None:
            operation_commands.refuse_key(unit, name, address, other.fingerprint, other.reason)
            step = task.progress.step
            operation_commands.fail_host(unit, name, address, step, other.reason, {})

        await self._record(task, record)

    # An upgrade or a deploy

    async def _run(
        self, task: HostStep, contact: StepSession, is_cancelling: Callable[[], bool]
    ) -> Requeue:
        if task.cancelling:
            report = await contact.cancel(task.step_id)
        elif self._is_late(task):  # while we were away; what has not begun by now is not to begin
            report = await contact.watch(task.step_id)
        elif await self._may_send(task):
            report = await contact.start(task.step_id, self._commands(task))
        else:
            return Requeue(0.0, Priority.CONTINUED)
        place = len(await self._log.output(*task.key))
        offset, pause_s = 0, POLL_FIRST_S
        until = asyncio.get_running_loop().time() + SESSION_S
        while True:
            news = report.output[place - offset :] if offset <= place else b""
            if news := news[: OUTPUT_BYTES_MAX - place]:  # a host may say more than it was told to
                place = await self._keep_output(task, place, news)
            has_more = bool(news) and place < min(report.size, OUTPUT_BYTES_MAX)
            is_over = report.state in ("ended", "cancelled", "lost")
            if is_over and not has_more:
                return await self._settle(task, contact, report)
            if not is_over and (task.cancelling or self._is_late(task)):
                return await self._stop(task, contact)
            tired = asyncio.get_running_loop().time() > until
            if tired or is_cancelling():
                return Requeue(0.0, Priority.CONTINUED)
            if not has_more:
                await asyncio.sleep(pause_s)
                pause_s = min(POLL_MAX_S, pause_s * POLL_GROWTH)
            if report.state in ("absent", "waiting"):
                await contact.start(task.step_id, self._commands(task))
            report, offset = await contact.watch(task.step_id, place), place

    def _is_late(self, task: HostStep) -> bool:
        return seconds_between(task.progress.step_at, self._now()) > task.limit_s

    async def _may_send(self, task: HostStep) -> bool:
        name, address = task.key
        may: bool = await self._record(
            task, lambda unit: operation_commands.send_step(unit, name, address, task.progress.step)
        )
        return may

    async def _keep_output(self, task: HostStep, place: int, piece: bytes) -> int:
        """Keep a piece beside the log; gives the place of the next."""
        name, address = task.key
        at = self._now()

        def keep(unit: Unit) -> None:
            unit.write_beside(lambda tx: outputs.add(tx, name, address, place, piece, at))

        await self._record(task, keep)
        return place + len(piece)

    async def _settle(self, task: HostStep, contact: StepSession, report: StepReport) -> Requeue:
        """The step is over, one way or another: record how, and clean up over there."""
        evidence = await self._evidence(task, report)
        if report.state == "ended" and report.exit_status == 0:
            await self._finish(task, evidence, reboot=await self._wants_reboot(task, contact))
        elif report.state == "ended":
            words = f"{_shown(self._commands(task))} ended with exit status {report.exit_status}."
            await self._fail(task, f"{words} See its output.", evidence)
        elif report.state == "cancelled" and task.cancelling:
            await self._fail(task, "It was cancelled before its step began.", evidence)
        elif report.state == "cancelled":
            words = f"Its step had not begun within {task.limit_s:g} s, and never will."
            await self._fail(task, words, evidence)
        elif task.cancelling:
            words = "It was cancelled: its step was stopped."
            await self._fail(task, words, evidence, cut_short=True)
        else:
            rebooted = report.begun_boot_id != report.boot_id
            why = "the host rebooted meanwhile" if rebooted else "its processes were killed"
            await self._lose(task, f"Its step was cut short: {why}.", evidence)
        await contact.clear(task.step_id)
        return Requeue(0.0, Priority.CONTINUED)

    async def _stop(self, task: HostStep, contact: StepSession) -> Requeue:
        """It is cancelled, or has taken too long: end it, and see that it is gone."""
        report = await contact.cancel(task.step_id)
        if report.state in ("running", "orphaned", "waiting"):
            since = task.cancelled_for_s if task.cancelling else task.elapsed_s - task.limit_s
            if since > CANCEL_LIMIT_S:
                await self._lose(task, "Its step could not be stopped.", {})
            return Requeue(POLL_MAX_S, Priority.CONTINUED)
        if report.state == "lost" and not task.cancelling:
            evidence = await self._evidence(task, report)
            words = f"Its step did not end within {task.limit_s:g} s and was stopped."
            await self._fail(task, words, evidence)
            await contact.clear(task.step_id)
        return Requeue(0.0, Priority.CONTINUED)  # it is settled when it is looked at next

    async def _evidence(self, task: HostStep, report: StepReport) -> Evidence:
        said = await self._log.output(*task.key)
        evidence: Evidence = {
            "output_sha256": hashlib.sha256(said).hexdigest(),
            "output_bytes": len(said),
        }
        if report.exit_status is not None:
            evidence["exit_status"] = report.exit_status
        return evidence

    async def _wants_reboot(self, task: HostStep, contact: StepSession) -> bool:
        match task.operation.request.options.reboot:
            case "never":
                return False
            case "always":
                return True
            case "if_needed":
                return await contact.reboot_needed()

    # A reboot

    async def _reboot(self, task: HostStep, contact: StepSession) -> Requeue:
        """Proved by the boot id before and after; a port that answers proves nothing."""
        before = task.progress.boot_id
        report = await contact.watch(task.step_id)
        if not before:
            if await self._may_reboot(task, report.boot_id):
                await contact.start(task.step_id, reboot(report.boot_id))
                return Requeue(REBOOT_LOOK_S, Priority.CONTINUED)
            return Requeue(0.0, Priority.CONTINUED)
        boot_ids: Evidence = {"boot_id_before": before, "boot_id_after": report.boot_id}
        if report.boot_id != before:
            await self._finish(task, boot_ids)
            await contact.clear(task.step_id)
            return Requeue(0.0, Priority.CONTINUED)
        late = task.elapsed_s > task.limit_s
        if late or (task.cancelling and report.state in ("absent", "waiting")):
            report = await contact.cancel(task.step_id)  # what has not begun by now is not to begin
        elif report.state in ("absent", "waiting"):  # it was to be sent when something broke
            await contact.start(task.step_id, reboot(before))
        if task.cancelling and report.state == "cancelled":
            await self._fail(task, "It was cancelled before its reboot.", boot_ids)
        elif late and report.boot_id == before and report.state in ("cancelled", "ended", "lost"):
            words = f"It did not reboot within {task.limit_s:g} s: its boot id is the same."
            await self._fail(task, words, boot_ids)
        elif late and task.elapsed_s > task.limit_s + CANCEL_LIMIT_S:
            await self._lose(task, "Its reboot could not be stopped.", boot_ids)
        return Requeue(REBOOT_LOOK_S, Priority.CONTINUED)

    async def _may_reboot(self, task: HostStep, boot_id: str) -> bool:
        name, address = task.key
        may: bool = await self._record(
            task, lambda unit: operation_commands.request_reboot(unit, name, address, boot_id)
        )
        return may

    # Its node

    async def _drain(self, task: HostStep) -> Requeue:
        name, address = task.key
        permitted(self._ownership, address)  # the host may have taken long to answer
        found = await self._nodes.drained(task.progress.container_manager, address, name)
        return await self._of_its_node(task, found, "Its node could not be drained")

    async def _uncordon(self, task: HostStep) -> Requeue:
        name, address = task.key
        found = await self._nodes.uncordoned(task.progress.container_manager, address, name)
        words = "All was done, but its node could not be uncordoned"
        return await self._of_its_node(task, found, words)

    async def _of_its_node(self, task: HostStep, found: NodeResult, words: str) -> Requeue:
        """It is so, or never will be, or is looked at again until its limit."""
        left_s = task.limit_s - task.elapsed_s
        if found.done:
            await self._finish(task, {})
        elif found.hopeless:
            await self._fail(task, f"{words}: {found.why_not}")
        elif left_s < 0:
            await self._fail(task, f"{words} within {task.limit_s:g} s: {found.why_not}")
        else:
            return Requeue(min(found.again_s, left_s + LOOK_AGAIN_S), Priority.CONTINUED)
        return Requeue(0.0, Priority.CONTINUED)

    # Health

    async def _health(self, task: HostStep, contact: StepSession) -> Requeue:
        """It must answer without a break, be the same boot all the while, and a node be Ready."""
        report = await contact.watch(task.step_id)
        why_not = await self._why_not_ready(task)
        if why_not:
            self._healthy.pop(task.key, None)
            if self._is_late(task):
                await self._fail(
                    task, f"It was not healthy for {task.healthy_for_s:g} s: {why_not}"
                )
            return Requeue(HEALTH_LOOK_S, Priority.CONTINUED)
        clock = asyncio.get_running_loop().time()
        since, boot_id = self._healthy.setdefault(task.key, (clock, report.boot_id))
        if boot_id != report.boot_id:
            since, _ = self._healthy[task.key] = (clock, report.boot_id)
        left_s = task.healthy_for_s - (clock - since)
        if left_s <= 0:
            await self._finish(task, {})
            return Requeue(0.0, Priority.CONTINUED)
        if task.elapsed_s > task.limit_s:
            await self._fail(task, f"It was not healthy for {task.healthy_for_s:g} s.")
        return Requeue(min(HEALTH_LOOK_S, left_s), Priority.CONTINUED)

    async def _why_not_ready(self, task: HostStep) -> str:
        manager = task.progress.container_manager
        if not manager:
            return ""
        found = await self._nodes.ready(manager, task.host.name)
        return found.why_not

    # Outcomes

    async def _finish(self, task: HostStep, evidence: Evidence, *, reboot: bool = False) -> None:
        name, address = task.key
        step = task.progress.step
        await self._record(
            task,
            lambda unit: operation_commands.finish_step(
                unit, name, address, step, evidence, reboot=reboot
            ),
        )

    async def _fail(
        self,
        task: HostStep,
        reason: str,
        evidence: Evidence | None = None,
        *,
        cut_short: bool = False,
    ) -> None:
        name, address = task.key
        step, proof = task.progress.step, evidence or {}
        fail = partial(operation_commands.fail_host, cut_short=cut_short)
        await self._record(task, lambda unit: fail(unit, name, address, step, reason, proof))

    async def _lose(self, task: HostStep, reason: str, evidence: Evidence) -> None:
        name, address = task.key
        step = task.progress.step
        await self._record(
            task,
            lambda unit: operation_commands.mark_unknown(
                unit, name, address, step, reason, evidence
            ),
        )

    async def _record(self, task: HostStep, command: Callable[[Unit], Any]) -> Any:
        act = Act(ACTOR, task.operation.id, self._now())
        return await self._writer.perform(act, self._ownership.fenced(task.host.name, command))


def _shown(words: Commands) -> str:
    """A command as a sentence names it: the last of several is what it is about."""
    last: Command = words[-1]
    return f"“{' '.join(word for word in last if '=' not in word and word not in ('env', '-o'))}”"
