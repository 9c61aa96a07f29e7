"""What came of a step of a host, and how it is recorded."""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from domain.aggregates.operation_events import Evidence
from domain.commands import operation_commands
from domain.event import Act
from domain.log.unit import Unit
from domain.refusal import conflict
from runners.hosts.outcomes import HostKeyChanged, HostUnusable
from runners.leases.ownership import Ownership
from runners.operations.host_step import TELL_EVERY_S, HostStep, Observed
from runners.scheduling.protocols import Writes

ACTOR = "runner:rolling"

P = ParamSpec("P")
T = TypeVar("T")


class StepOutcomes:
    """Records under the runner's name, of hosts that this process owns. `now()` gives the time."""

    def __init__(self, writer: Writes, now: Callable[[], str], ownership: Ownership) -> None:
        self._writer = writer
        self._now = now
        self._ownership = ownership

    async def record(
        self,
        step: HostStep,
        command: Callable[Concatenate[Unit, str, str, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Carry out a command about the operation and the host of the step."""
        name, address = step.key
        act = Act(ACTOR, step.operation.id, self._now())

        def of_the_log(unit: Unit) -> T:
            if address not in unit.operation(name).hosts:
                raise conflict(f"The log has no {step.operation.id} any more: it went back.")
            return command(unit, name, address, *args, **kwargs)

        result: T = await self._writer.perform(act, self._ownership.fenced(address, of_the_log))
        return result

    async def tell_wait(self, step: HostStep, observed: Observed, reason: str) -> None:
        """Record what the step waits for, "" for nothing any more, unless that is known."""
        told, clock = step.progress.waits_for, asyncio.get_running_loop().time()
        is_soon = bool(reason) and clock - observed.told_at < TELL_EVERY_S
        if reason != told and not is_soon:
            await self.record(step, operation_commands.wait, step.progress.step, reason)
            step.progress.waits_for, observed.told_at = reason, clock

    async def finish(self, step: HostStep, evidence: Evidence, *, reboot: bool = False) -> None:
        """The step is done; `reboot`: whether the host is to be rebooted next."""

        def finish(unit: Unit, name: str, address: str) -> None:
            operation_commands.wait(unit, name, address, step.progress.step, "")
            finish_step = operation_commands.finish_step
            finish_step(unit, name, address, step.progress.step, evidence, reboot=reboot)

        await self.record(step, finish)

    async def fail(
        self,
        step: HostStep,
        reason: str,
        evidence: Evidence | None = None,
        *,
        cut_short: bool = False,
    ) -> None:
        """The step, and with it the host, has failed.

        `cut_short`: its commands had begun, and were killed since it was cancelled.
        """
        fail, name = operation_commands.fail_host, step.progress.step
        await self.record(step, fail, name, reason, evidence or {}, cut_short=cut_short)

    async def mark_unknown(self, step: HostStep, reason: str, evidence: Evidence) -> None:
        """Nobody can tell how the step ended."""
        mark, name = operation_commands.mark_unknown, step.progress.step
        await self.record(step, mark, name, reason, evidence)

    async def lose_touch(
        self, step: HostStep, failed: HostUnusable, command: Callable[..., None], words: str
    ) -> None:
        """The host could not be reached in time: `fail_host` or `mark_unknown`, and the host fails.

        Nothing is recorded where the step went on meanwhile.
        """
        reason = f"{failed.reason} {words}"

        def record(unit: Unit, name: str, address: str) -> None:
            now = unit.operation(name).hosts[address]
            if (now.step, now.sent) == (step.progress.step, step.progress.sent):
                operation_commands.fail_itself(unit, name, address, failed.kind, failed.reason)
                command(unit, name, address, step.progress.step, reason, {})

        await self.record(step, record)

    async def refuse_key(self, step: HostStep, changed: HostKeyChanged) -> None:
        """The host showed another key than the pinned one: the step and the host have failed."""

        def record(unit: Unit, name: str, address: str) -> None:
            reason = changed.reason
            operation_commands.refuse_key(unit, name, address, changed.fingerprint, reason)
            operation_commands.fail_host(unit, name, address, step.progress.step, reason, {})

        await self.record(step, record)
