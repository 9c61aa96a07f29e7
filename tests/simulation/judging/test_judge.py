"""The judge of the stories is not blind: each promise that is broken on purpose is noticed."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest

from domain.aggregates import rolling_policy
from domain.aggregates.container_manager import ContainerManager
from domain.aggregates.operation import Operation
from domain.aggregates.rolling_policy import Limits, Progress
from domain.commands import budget, holds, operation_commands
from domain.commands.planning import Plan
from domain.event import FIRST_TIME
from domain.rollouts.moves import Move, Over, Start, Wait
from runners.operations.command_step import CommandStep
from runners.operations.health_step import HealthStep
from runners.operations.host_step import HostStep
from runners.operations.node_step import DONE, ClusterNodes, NodeResult
from runners.operations.operation_driver import OperationDriver
from runners.operations.reboot_step import RebootStep
from runners.operations.step_outcomes import StepOutcomes
from runners.scheduling.work_queue import Priority, Requeue
from tests.simulation.judging import breaks_of_plans
from tests.simulation.judging.breaks_of_plans import (
    Break,
    Broken,
    a_node_of_somebody_else,
    a_short_story,
    a_soak_and_a_clock_that_is_set_back,
)
from tests.simulation.judging.judge import judge
from tests.simulation.nodes import PlayedNode
from tests.simulation.story import told

SEEDS_MAX = 200
"""So many stories at most until somebody notices; `make test` tells more than these."""


class Loosened:
    """An operation that says something else about itself."""

    def __init__(self, operation: Progress, **changed: Any) -> None:
        self._operation = operation
        self._changed = changed

    def __getattr__(self, name: str) -> Any:
        return self._changed.get(name, getattr(self._operation, name))


def decides(policy: Callable[[Operation, Any, str], Move]) -> Break:
    """Another policy."""
    return lambda patch: patch.setattr(operation_commands, "next_move", policy)


def with_limits(loosen: Callable[[Limits], Limits]) -> Break:
    """The policy, with other limits."""
    return decides(
        lambda operation, unavailable, at: rolling_policy.next_move(
            Loosened(operation, limits=loosen(operation.limits)), unavailable, at
        )
    )


def never_over(operation: Operation, unavailable: Any, at: str) -> Move:
    """Waits where it should end."""
    move = rolling_policy.next_move(operation, unavailable, at)
    return Wait("For what?") if isinstance(move, Over) else move


def though_paused(operation: Operation, unavailable: Any, at: str) -> Move:
    """Does not know that it is paused."""
    state = "in_process" if operation.state == "paused" else operation.state
    return rolling_policy.next_move(Loosened(operation, state=state), unavailable, at)


def again(operation: Operation, unavailable: Any, at: str) -> Move:
    """Starts one that is done."""
    done = operation.with_outcome("done")
    return Start(done[0]) if done else rolling_policy.next_move(operation, unavailable, at)


def with_waves(**changed: Any) -> Break:
    """The policy, of an operation that says something else about its waves."""
    return decides(
        lambda operation, unavailable, at: rolling_policy.next_move(
            Loosened(operation, **changed), unavailable, at
        )
    )


def soaks_for_nothing(operation: Operation, unavailable: Any, at: str) -> Move:
    """Does not wait for the end of a soak."""
    loosened = Loosened(operation, soak=(FIRST_TIME, FIRST_TIME))
    return rolling_policy.next_move(loosened, unavailable, at)


def soaks_from_the_first_time(operation: Operation, unavailable: Any, at: str) -> Move:
    """Does not see that the clock was set back to before the soak."""
    loosened = Loosened(operation, soak=(FIRST_TIME, operation.soak[1]))
    return rolling_policy.next_move(loosened, unavailable, at)


def does_not_see_who_fails(patch: pytest.MonkeyPatch) -> None:
    """After it was done."""
    patch.setattr(Operation, "lose", lambda *_: None)


def takes_anybody_for_a_second(patch: pytest.MonkeyPatch) -> None:
    """Whoever it is."""
    approve = Operation.approve
    patch.setattr(Operation, "approve", lambda *of, **_: approve(*of, by_second=True))


def starts_at_once(patch: pytest.MonkeyPatch) -> None:
    """Whatever holds it back."""
    patch.setattr(operation_commands, "held_back", lambda *_: None)


def keeps_to_no_policy(patch: pytest.MonkeyPatch) -> None:
    """Of the cluster."""
    patch.setattr(holds, "within_policy", lambda *_: None)


def gives_locks_to_all(patch: pytest.MonkeyPatch) -> None:
    """However many are away."""
    patch.setattr(budget, "has_room", lambda *_: True)


def drops_who_is_not_ready(patch: pytest.MonkeyPatch) -> None:
    """Forgets those that it skips."""
    plan = operation_commands.plan

    def forgetful(unit: Any, request: Any, matching: Any = ()) -> Plan:
        return replace(plan(unit, request, matching), skipped=[])

    patch.setattr(operation_commands, "plan", forgetful)


def makes_up_ids(patch: pytest.MonkeyPatch) -> None:
    """Asks for each step under an id of the moment, which no host has seen before."""
    patch.setattr(
        HostStep, "step_id", property(lambda task: f"{task.elapsed_s}-{task.progress.step}")
    )


def sends_before_it_says_so(patch: pytest.MonkeyPatch) -> None:
    """Without the intent in the log."""

    async def at_once(command: CommandStep, step: HostStep) -> bool:
        return True

    patch.setattr(CommandStep, "_may_send", at_once)


def believes_in_cancelling(patch: pytest.MonkeyPatch) -> None:
    """Says that a step was stopped, and did not look."""
    tick = CommandStep.tick

    async def trusting(command: CommandStep, step: HostStep, *more: Any) -> Any:
        if step.cancelling:
            await command._outcomes.fail(step, "It was cancelled.")
            return Requeue(0.0, Priority.CONTINUED)
        return await tick(command, step, *more)

    patch.setattr(CommandStep, "tick", trusting)


def takes_silence_for_success(patch: pytest.MonkeyPatch) -> None:
    """What is not known is done."""

    async def hopeful(outcomes: StepOutcomes, step: HostStep, *_: Any) -> None:
        await outcomes.finish(step, {})

    patch.setattr(StepOutcomes, "lose_touch", hopeful)


def takes_an_open_port_for_a_reboot(patch: pytest.MonkeyPatch) -> None:
    """Does not compare boot ids."""

    async def careless(reboot: RebootStep, step: HostStep, session: Any) -> Any:
        if step.progress.boot_id:
            report = await session.watch(step.step_id)
            proof = {"boot_id_before": step.progress.boot_id, "boot_id_after": report.boot_id}
            await reboot._outcomes.finish(step, proof)
        return await tick(reboot, step, session)

    tick = RebootStep.tick
    patch.setattr(RebootStep, "tick", careless)


def does_not_wait_for_health(patch: pytest.MonkeyPatch) -> None:
    """One answer is enough."""

    async def quick(health: HealthStep, step: HostStep, session: Any, observed: Any) -> Any:
        await session.watch(step.step_id)
        await health._outcomes.finish(step, {})
        return Requeue(0.0, Priority.CONTINUED)

    patch.setattr(HealthStep, "tick", quick)


def forgets_at_a_crash(patch: pytest.MonkeyPatch) -> None:
    """Does not ask the log what was not over."""

    async def amnesia(rolling: OperationDriver, name: str) -> None:
        return None

    patch.setattr(OperationDriver, "_advance", amnesia)


def believes_in_evictions(patch: pytest.MonkeyPatch) -> None:
    """Does not wait until the pods have left."""

    async def quick(steps: ClusterNodes, *of: str) -> NodeResult:
        await drained(steps, *of)
        return DONE

    drained = ClusterNodes.drained
    patch.setattr(ClusterNodes, "drained", quick)


def forgets_its_cordons(patch: pytest.MonkeyPatch) -> None:
    """Of hosts that failed."""
    patch.setattr(ContainerManager, "want_uncordon", lambda *_: None)


def trusts_whoever_failed(patch: pytest.MonkeyPatch) -> None:
    """Uncordons what may be broken."""
    patch.setattr(Operation, "leaves_cordoned", lambda *_, **__: False)


def forgets_somebody_elses_cordon(patch: pytest.MonkeyPatch) -> None:
    """Takes whatever cordon there is for its own."""
    patch.setattr(PlayedNode, "is_foreign", False)


BREAKS: dict[str, tuple[Any, ...]] = {
    "max_parallel": (
        with_limits(lambda limits: replace(limits, parallel=limits.parallel + 1)),
        "max_parallel",
    ),
    "max_failures": (
        with_limits(lambda limits: replace(limits, failures=limits.failures + 1)),
        "max_failures",
    ),
    "max_unavailable": (
        decides(lambda operation, _, at: rolling_policy.next_move(operation, (), at)),
        "max_unavailable",
    ),
    "a pause": (decides(though_paused), "nothing starts in a paused"),
    "once": (decides(again), "cannot go from done"),
    "an end": (decides(never_over), "every operation ends", a_short_story),
    "nobody is dropped": (drops_who_is_not_ready, "nobody is silently dropped"),
    "one run": (makes_up_ids, "ran twice"),
    "the intent": (sends_before_it_says_so, "never said to be sent"),
    "a proof of the end": (believes_in_cancelling, "still runs"),
    "unknown": (takes_silence_for_success, "is done"),
    "a boot id": (takes_an_open_port_for_a_reboot, "no boot proves it"),
    "health": (does_not_wait_for_health, "it was not waited for"),
    "pods": (believes_in_evictions, "beside its pods"),
    "its cordons": (forgets_its_cordons, "is left cordoned"),
    "a broken node": (trusts_whoever_failed, "worth a look"),
    "other cordons": (
        forgets_somebody_elses_cordon,
        "a cordon of somebody else",
        a_node_of_somebody_else,
    ),
    "waves": (with_waves(is_between_waves=False), "a host of a later wave"),
    "a canary": (with_waves(done_in_wave=1), "a canary failed"),
    "a soak": (decides(soaks_for_nothing), "the soak was cut short"),
    "who is well": (does_not_see_who_fails, "is not active"),
    "an approval": (with_waves(approved=99), "nobody approved"),
    "a second person": (takes_anybody_for_a_second, "approved it alone"),
    "a policy": (keeps_to_no_policy, "the policy was not kept"),
    "locks": (gives_locks_to_all, "more locks than slots"),
    "its time": (starts_at_once, "before its time"),
    "going on": (forgets_at_a_crash, "every operation ends", a_short_story),
    "a soak of a clock that is set back": (
        decides(soaks_from_the_first_time),
        "waits for soak by a clock of before",
        a_soak_and_a_clock_that_is_set_back,
    ),
} | breaks_of_plans.BREAKS


@pytest.fixture(params=BREAKS)
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Broken:
    """Something is broken."""
    found = Broken(*BREAKS[request.param])
    found.breaks(monkeypatch)
    return found


def test_a_promise_that_is_broken_is_noticed(broken: Broken) -> None:
    noticed = []
    for seed in islice(filter(broken.about, count()), SEEDS_MAX):
        try:
            judge(told(seed))
        except (AssertionError, ExceptionGroup) as error:
            if broken.words in repr(error):
                return
            noticed.append(f"seed {seed}: {error!r}"[:300])
    raise AssertionError(f"nobody noticed; but {noticed}")
