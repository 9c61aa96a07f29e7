"""The step of an upgrade or a deploy: its commands run detached on the host, and are watched."""

import asyncio
import math
from collections.abc import Callable, Coroutine

from domain.commands import operation_commands
from domain.log.unit import Unit
from projections.beside_the_log import outputs
from runners.operations.host_step import CANCEL_LIMIT_S, EventLog, HostStep
from runners.operations.step_outcomes import StepOutcomes
from runners.scheduling.work_queue import Priority, Requeue
from runners.steps.contact import POLL_PAUSES, SESSION_S, RebootNeed, StepSession, news_s
from runners.steps.detached_step import OUTPUT_BYTES_MAX, StepReport
from runners.steps.system_commands import (
    Commands,
    StepImpossible,
    commands,
    packages,
    sentences,
    waits_for,
)

CANCEL_LOOK_S = 0.5
"""While a host is asked, it is looked so often whether the step is to be cancelled."""

NEXT = Requeue(0.0, Priority.CONTINUED)


def commands_of(step: HostStep) -> Commands:
    """The commands for the host's system. Raises `StepImpossible`."""
    if step.host.facts is None:
        raise StepImpossible("Nothing is known of its system yet.")
    request = step.operation.request
    return commands(request.kind, request.version, step.host.facts, request.script)


class CommandStep:
    """Starts the commands, keeps their output, and records how they ended."""

    def __init__(self, log: EventLog, outcomes: StepOutcomes, now: Callable[[], str]) -> None:
        self._log = log
        self._outcomes = outcomes
        self._now = now

    async def tick(
        self, step: HostStep, session: StepSession, is_cancelling: Callable[[], bool]
    ) -> Requeue:
        """Watch the step for the time of one session, or until it is over or to be cancelled."""
        if step.cancelling:
            report = await session.cancel(step.step_id)
        elif step.is_late:  # what has not begun by now is not to begin
            report = await session.watch(step.step_id)
        elif await self._may_send(step):
            report = await session.start(step.step_id, commands_of(step))
        else:
            return NEXT
        kept = len(await self._log.output(*step.key))
        offset, polls, waits = 0, 0, step.progress.waits_for
        until = asyncio.get_running_loop().time() + SESSION_S
        while True:
            news = report.output[kept - offset :] if offset <= kept else b""
            if news := news[: OUTPUT_BYTES_MAX - kept]:  # a host may send more than it was asked
                kept = await self._keep_output(step, kept, news)
                waits = await self._tell_wait(step, waits, news)
            has_more = bool(news) and kept < min(report.size, OUTPUT_BYTES_MAX)
            is_over = report.state in ("ended", "cancelled", "lost")
            if is_over and not has_more:
                await self._tell_wait(step, waits, b"")
                return await self._settle(step, session, report)
            if not is_over and (step.cancelling or step.is_late):
                return await self._stop(step, session)
            if asyncio.get_running_loop().time() > until or is_cancelling():
                return NEXT
            if not has_more:
                polls += 1
                await asyncio.sleep(POLL_PAUSES.after(polls))
            if report.state in ("absent", "waiting"):
                await session.start(step.step_id, commands_of(step))
            left_s = max(0, math.floor(step.limit_s - step.elapsed_s))
            wait_s = 0 if has_more else min(news_s(until), left_s)
            looking = session.watch(step.step_id, kept, wait_s)
            looked = await _unless_cancelled(looking, is_cancelling)
            if looked is None:
                return NEXT
            report, offset = looked, kept

    async def _may_send(self, step: HostStep) -> bool:
        name = step.progress.step
        return await self._outcomes.record(step, operation_commands.send_step, name)

    async def _keep_output(self, step: HostStep, kept: int, piece: bytes) -> int:
        """Keep a piece of output beside the log; gives how many bytes are kept now."""
        at = self._now()

        def keep(unit: Unit, name: str, address: str) -> None:
            unit.write_beside(lambda tx: outputs.add(tx, name, address, kept, piece, at))

        await self._outcomes.record(step, keep)
        return kept + len(piece)

    async def _tell_wait(self, step: HostStep, told: str, news: bytes) -> str:
        """Record what the step waits for now, by its latest words; gives what is recorded."""
        script = step.operation.request.kind == "run"
        if (waits := "" if script else waits_for(news)) != told:
            wait = operation_commands.wait
            await self._outcomes.record(step, wait, step.progress.step, waits)
        return waits

    async def _settle(self, step: HostStep, session: StepSession, report: StepReport) -> Requeue:
        """Record how the step ended, and clear what it left on the host."""
        output = await self._log.output(*step.key)
        outcomes, evidence = self._outcomes, report.evidence(output)
        said = sentences(output)
        if step.operation.request.kind == "run":
            said = ""  # the words are the script's
        else:
            evidence |= packages(output)
        if report.state == "ended" and report.exit_status == 0:
            reboot = await _reboot_wanted(step, session)
            if told := " ".join(filter(None, [said, reboot.unsure])):
                evidence["told"] = told
            await outcomes.finish(step, evidence, reboot=reboot.needed)
        elif report.state == "ended":
            ended = f"Its commands ended with exit status {report.exit_status}."
            words = said or ended
            await outcomes.fail(step, f"{words} See its output.", evidence)
        elif report.state == "cancelled" and step.cancelling:
            await outcomes.fail(step, "It was cancelled before its step began.", evidence)
        elif report.state == "cancelled":
            words = f"Its step had not begun within {step.limit_s:g} s, and never will."
            await outcomes.fail(step, words, evidence)
        elif step.cancelling:
            words = "It was cancelled: its step was stopped."
            await outcomes.fail(step, words, evidence, cut_short=True)
        else:
            words = f"Its step was cut short: {report.why_cut_short}."
            await outcomes.mark_unknown(step, words, evidence)
        await session.clear(step.step_id)
        return NEXT

    async def _stop(self, step: HostStep, session: StepSession) -> Requeue:
        """End a step that is cancelled, or has taken too long, and see that nothing of it runs."""
        report = await session.cancel(step.step_id)
        if report.state in ("running", "orphaned", "waiting"):
            since = step.cancelled_for_s if step.cancelling else step.elapsed_s - step.limit_s
            if since > CANCEL_LIMIT_S:
                await self._outcomes.mark_unknown(step, "Its step could not be stopped.", {})
            return Requeue(POLL_PAUSES.longest_s, Priority.CONTINUED)
        if report.state == "lost" and not step.cancelling:
            evidence = report.evidence(await self._log.output(*step.key))
            words = f"Its step did not end within {step.limit_s:g} s and was stopped."
            await self._outcomes.fail(step, words, evidence)
            await session.clear(step.step_id)
        return NEXT  # any other end is recorded by the next tick


async def _unless_cancelled(
    look: Coroutine[object, object, StepReport], is_cancelling: Callable[[], bool]
) -> StepReport | None:
    """What a look at the host finds; None once the step is to be cancelled."""
    looking = asyncio.ensure_future(look)
    try:
        while not looking.done():
            if is_cancelling():
                return None
            await asyncio.wait((looking,), timeout=CANCEL_LOOK_S)
        return looking.result()
    finally:
        looking.cancel()


async def _reboot_wanted(step: HostStep, session: StepSession) -> RebootNeed:
    match step.operation.request.options.reboot:
        case "never":
            return RebootNeed(needed=False)
        case "always":
            return RebootNeed(needed=True)
        case "if_needed":
            return await session.reboot_needed()
