"""Sets a host up for the network of its cluster: asks which steps it needs, and sends them in turn.

The host itself shows which steps are done, so nothing that matters is remembered. A step is in the
log before it is sent, and a step that may have been sent is asked about, by its id, before anything
else. Steps run detached, like those of operations (runners/steps/detached_step.py).
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from domain.aggregates.host import Host
from domain.aggregates.host_events import BootstrapStepSent, FactsGathered
from domain.commands.bootstrap import Wanted
from runners.bootstrapping.rendered_step import (
    ReadyStep,
    Unusable,
    gist,
    needed,
    new_nonce,
    probe,
    ready,
    values_of,
)
from runners.bootstrapping.step_files import STEP_TIMEOUT_S, Lists, steps_for
from runners.hosts.outcomes import Ending, HostOutcomes, HostUnusable
from runners.leases.ownership import NoLongerOurs
from runners.scheduling.elapsed import Elapsed
from runners.scheduling.work_queue import Priority, Requeue
from runners.ssh.command import Output
from runners.steps.contact import POLL_PAUSES, SESSION_S, StepSession, news_s
from runners.steps.detached_step import OUTPUT_BYTES_MAX, StepReport

STOP_LIMIT_S = 60.0
"""How long a step that has taken too long may take to be stopped, before the host has failed."""

OVER = ("ended", "cancelled", "lost")


class AskableSession(StepSession, Protocol):
    """A session that runs steps, and scripts beside them."""

    async def ask(self, script: str) -> Output:
        """Run a script as root that changes nothing."""
        ...


class Connector(Protocol):
    """Connects to hosts. Raises `HostUnusable` and `HostKeyChanged`."""

    def __call__(self, host: Host) -> AbstractAsyncContextManager[AskableSession]:
        """A session, closed at the end of the block."""
        ...


class Bootstrap:
    """Works tick by tick. `now()` gives the time for events, `new_id()` a UUID."""

    def __init__(
        self,
        lists: Lists,
        outcomes: HostOutcomes,
        connector: Connector,
        *,
        now: Callable[[], str],
        new_id: Callable[[], str],
    ) -> None:
        self._lists = lists
        self._outcomes = outcomes
        self._connector = connector
        self._now = now
        self._new_id = new_id
        self._elapsed = Elapsed()

    async def __call__(self, host: Host, facts: FactsGathered, wanted: Wanted) -> Requeue | None:
        """Work for the time of one session; None once the host is set up. Raises `HostUnusable`."""
        try:
            steps = self._steps(facts, wanted)
        except Unusable as unusable:
            raise HostUnusable("setup", str(unusable)) from None
        until = asyncio.get_running_loop().time() + SESSION_S
        async with self._connector(host) as session:
            if host.step is not None:
                step = next((step for step in steps if step.name == host.step.step), None)
                if not await self._see_to_its_end(host, session, host.step, step, until):
                    return Requeue(0.0, Priority.CONTINUED)  # others get their turn
            ran: set[str] = set()
            while missing := await self._missing(host, session, steps):
                for step in missing:
                    if step.name in ran:
                        reason = f"Step '{step.name}' of setting it up was undone by another."
                        raise HostUnusable("setup", reason)
                    ran.add(step.name)
                    sent = await self._send(host, step, wanted)
                    if not await self._see_to_its_end(host, session, sent, step, until):
                        return Requeue(0.0, Priority.CONTINUED)
            await self._outcomes.finish_bootstrap(host)
        return None

    def _steps(self, facts: FactsGathered, wanted: Wanted) -> list[ReadyStep]:
        found = steps_for(self._lists, facts, wanted.type)
        if found is None:
            raise Unusable(
                f"Network {wanted.network} is to be set up, and there are no steps for"
                f" {facts.os or 'a system of no name'} (see --bootstrap)."
            )
        values = values_of(wanted)
        return [ready(step, values) for step in found]

    async def _missing(
        self, host: Host, session: AskableSession, steps: Sequence[ReadyStep]
    ) -> list[ReadyStep]:
        nonce = new_nonce()
        try:
            output = await session.ask(probe(steps, nonce))
        except Unusable as unusable:
            raise HostUnusable("setup", str(unusable)) from None
        missing = needed(steps, output.stdout, nonce)
        if missing is None:
            words = gist(output.stderr) or f"exit status {output.exit_status}"
            raise HostUnusable("setup", f"{host.name} did not say what is set up: “{words}”.")
        return missing

    async def _send(self, host: Host, step: ReadyStep, wanted: Wanted) -> BootstrapStepSent:
        sent = BootstrapStepSent(step.name, self._new_id(), wanted.network, at=self._now())
        if not await self._outcomes.send_step(host, sent):
            raise NoLongerOurs
        return sent

    async def _see_to_its_end(
        self,
        host: Host,
        session: AskableSession,
        sent: BootstrapStepSent,
        step: ReadyStep | None,
        until: float,
    ) -> bool:
        """Start the step, unless that was done, and watch it. False where it runs on at `until`."""
        limit_s = step.step.timeout_s if step else STEP_TIMEOUT_S
        polls = 0
        report: StepReport | None = None
        while report is None or report.state not in OVER:
            late_s = self._elapsed_s(sent) - limit_s
            begun = report is not None and report.state not in ("absent", "waiting")
            if late_s > STOP_LIMIT_S and begun:
                reason = f"Step '{sent.step}' of setting it up cannot be stopped."
                raise HostUnusable("setup", reason)
            if late_s > 0 or (step is None and not begun):
                report = await session.cancel(sent.run)
            elif step is not None and not begun:
                report = await session.start(sent.run, step.commands(sent.run))
            elif asyncio.get_running_loop().time() > until:
                return False
            else:
                polls += 1
                await asyncio.sleep(POLL_PAUSES.after(polls))
                report = await session.watch(sent.run, wait_s=news_s(until))
        try:
            await self._settle(host, session, sent, step, report)
        finally:
            self._elapsed.forget(sent.run)
        return True

    def _elapsed_s(self, sent: BootstrapStepSent) -> float:
        return self._elapsed.seconds(sent.run, sent.at, self._now())

    async def _settle(
        self,
        host: Host,
        session: AskableSession,
        sent: BootstrapStepSent,
        step: ReadyStep | None,
        report: StepReport,
    ) -> None:
        """Record how the step ended, and clear what it left on the host."""
        output = await _output(session, sent.run, report)
        changed = step.changed(sent.run, output) if step else []
        ending = Ending(changed, report.evidence(output), output)
        if report.state == "ended" and report.exit_status == 0:
            await self._outcomes.finish_step(host, sent.run, ending)
            await session.clear(sent.run)
            return
        late = self._elapsed_s(sent) > (step.step.timeout_s if step else STEP_TIMEOUT_S)
        reason, passing = _why(sent.step, report, gist(output, sent.run), late=late)
        await self._outcomes.fail_step(host, sent.run, ending, reason, passing=passing)
        await session.clear(sent.run)
        raise HostUnusable("setup", reason, passing=passing)


async def _output(session: AskableSession, run: str, report: StepReport) -> bytes:
    """The whole output of the step, up to the limit."""
    output = report.output
    while len(output) < min(report.size, OUTPUT_BYTES_MAX):
        piece = (await session.watch(run, len(output))).output
        if not piece:
            break
        output += piece
    return output[:OUTPUT_BYTES_MAX]


def _why(name: str, report: StepReport, words: str, *, late: bool) -> tuple[str, bool]:
    """The reason of a failure for people, and whether it may pass by itself in a moment."""
    step = f"Step '{name}' of setting it up"
    said = f": “{words}”" if words else ""
    if report.state == "ended":
        return f"{step} ended with exit status {report.exit_status}{said}.", False
    if report.state == "cancelled":
        return f"{step} had not begun in time, and never will.", True
    if late:
        return f"{step} did not end in time, and was stopped{said}.", False
    return f"{step} was cut short: {report.why_cut_short}.", True
