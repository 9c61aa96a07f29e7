"""Promises of windows, gates, policies and schedules that are broken on purpose."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from domain.aggregates import rolling_policy
from domain.aggregates.operation import Operation
from domain.aggregates.planning import schedule
from domain.aggregates.planning.schedule import AHEAD_S_MAX, LATE_S_MAX, Schedule
from domain.aggregates.planning.schedule_events import AnyScheduleEvent, Fired, Missed, SetBack
from domain.aggregates.planning.window import Hours, Window
from domain.aggregates.rolling_policy import Progress
from domain.commands import budget, holds, operation_commands
from domain.commands.holds import OfTime
from domain.rollouts.moves import Wait
from runners.planning.scheduler import Scheduler
from tests.simulation.clock import A_LONG_TIME_S, Settings
from tests.simulation.gates import GATE, POLICY_GATE
from tests.simulation.plans import Plans
from tests.simulation.several.conductor import Clock
from tests.simulation.stage import Stage

Break = Callable[[pytest.MonkeyPatch], None]


def anything(seed: int) -> bool:
    """Any story may show it."""
    return True


def a_policy(seed: int) -> bool:
    """Stories with a policy."""
    return Plans(seed).has_policy


def a_lock(seed: int) -> bool:
    """Stories with a policy, and hosts that restart by themselves."""
    return a_policy(seed) and Stage(seed, Clock()).has_lockers


def a_schedule(seed: int) -> bool:
    """Stories with a schedule."""
    return Plans(seed).has_schedule


def an_unsteady_schedule(seed: int) -> bool:
    """Stories with a schedule, and a clock that is set by more than is a busy minute."""
    settings = Settings(seed)
    return settings.is_set and settings.by_s > LATE_S_MAX and a_schedule(seed)


def a_schedule_and_a_clock_that_is_ahead_again(seed: int) -> bool:
    """By so much that it is noticed, and set right in between."""
    settings = Settings(seed)
    often = settings.times > 2 and settings.by_s > AHEAD_S_MAX and not settings.is_first_back
    return often and an_unsteady_schedule(seed)


def a_wait_and_a_clock_that_is_set_back(seed: int) -> bool:
    """For longer than the story may last, and not set right again."""
    settings = Settings(seed)
    once = settings.is_set and settings.times == 1 and settings.while_it_waits
    return once and settings.is_first_back and settings.by_s == A_LONG_TIME_S


def a_soak_and_a_clock_that_is_set_back(seed: int) -> bool:
    """While it soaks, perhaps."""
    if not a_wait_and_a_clock_that_is_set_back(seed):
        return False
    stage = Stage(seed, Clock())
    soaks = [wave["soak_s"] for wave in stage.request().options.waves]
    return bool(soaks) and soaks[0] > 0 and not stage.crash_rate


def a_limit_and_a_clock_that_is_set_back(seed: int) -> bool:
    """While it waits for members, perhaps."""
    if not a_wait_and_a_clock_that_is_set_back(seed):
        return False
    options = Stage(seed, Clock()).request().options
    return options.max_unavailable is not None and not options.waves


def a_short_story(seed: int) -> bool:
    """Without what goes on where an operation never ends."""
    plans = Plans(seed)
    return not (plans.has_schedule or plans.has_policy or plans.has_window)


def a_node_of_somebody_else(seed: int) -> bool:
    """One of them is cordoned, and is to be drained."""
    stage = Stage(seed, Clock())
    foreign = [node for node in stage.manager.nodes.values() if node.was_foreign]
    return len(foreign) == 1 and stage.request().options.drain is None and a_short_story(seed)


class Broken(NamedTuple):
    """A promise that is broken, the judge's words about it, and stories that may show it."""

    breaks: Break
    words: str
    about: Callable[[int], bool] = anything


def with_holds_of_time(*held: OfTime) -> Break:
    """Of those held back by these alone."""
    return lambda patch: patch.setattr(holds, "HOLDS_OF_TIME", held)


# Any: a unit in memory.
def in_its_own_window(unit: Any, operation: Operation) -> Wait | None:
    """Whatever that of the policy is."""
    name = operation.request.options.window
    opening = unit.window(name).opening(operation.act.at) if name else None
    return None if opening is None or opening.is_open else Wait("It is closed.", "window")


def keeps_to_hours_of_before(patch: pytest.MonkeyPatch) -> None:
    """Of a window that was moved."""
    first: dict[Window, Hours] = {}
    patch.setattr(Window, "opening", lambda it, at: first.setdefault(it, it.hours).opening(at))


def passes_gates(*passed: str) -> Break:
    """Whatever these say."""
    ask = holds.held_by_gates

    def asked(gates: tuple[str, ...], verdicts: holds.Verdicts) -> Wait | None:
        return ask(tuple(gate for gate in gates if gate not in passed), verdicts)

    return lambda patch: patch.setattr(holds, "held_by_gates", asked)


def waits_for_members_by_a_clock_of_before(patch: pytest.MonkeyPatch) -> None:
    """Until when it was said first."""
    until = rolling_policy._waits_for_members_until

    def as_told(operation: Progress, at: str) -> str:
        told = operation.told
        return (told.until if told.what == "members" else None) or until(operation, at)

    patch.setattr(rolling_policy, "_waits_for_members_until", as_told)


def takes_a_yes_for_all(patch: pytest.MonkeyPatch) -> None:
    """That follow as well."""
    patch.setattr(operation_commands, "NOBODY_ASKED", {GATE: "", POLICY_GATE: ""})


def gives_locks_without(what: str) -> Break:
    """The window or the gate of the policy."""
    take = budget.take_lock

    # Any: a unit in memory.
    def taken(unit: Any, name: str, *of: Any, **more: Any) -> None:
        cluster = unit.cluster(name)
        kept = getattr(cluster, what)
        setattr(cluster, what, "")
        try:
            take(unit, name, *of, **more)
        finally:
            setattr(cluster, what, kept)

    return lambda patch: patch.setattr(budget, "take_lock", taken)


def forgets_what_fired(*, also_up_to_when: bool) -> Break:
    """Or only what is to be remembered for a clock that was ahead."""
    apply = Schedule.apply

    def applied(it: Schedule, event: AnyScheduleEvent) -> None:
        handled = it.handled
        apply(it, event)
        it._fired.clear()
        if isinstance(event, Fired) and also_up_to_when:
            it.handled = handled

    return lambda patch: patch.setattr(Schedule, "apply", applied)


def says_nothing_of_the_missed(patch: pytest.MonkeyPatch) -> None:
    """Goes on as if it had never been due."""
    emit = Schedule.emit

    def emitted(it: Schedule, event: AnyScheduleEvent) -> None:
        emit(it, SetBack(event.due) if isinstance(event, Missed) else event)

    patch.setattr(Schedule, "emit", emitted)


def begins_however_late(patch: pytest.MonkeyPatch) -> None:
    """What was due long ago."""
    patch.setattr(schedule, "LATE_S_MAX", 1e9)


def looks_at_no_schedule(patch: pytest.MonkeyPatch) -> None:
    """When it begins."""

    async def nothing(*_: Any) -> list[Any]:
        return []

    patch.setattr(Scheduler, "unfinished", nothing)


def says_that_it_began_nothing(patch: pytest.MonkeyPatch) -> None:
    """Where it did."""
    patch.setattr(Schedule, "fire", lambda it, due, operation: it.begin_nothing(due, "No."))


BREAKS: dict[str, Broken] = {
    "its window": Broken(
        with_holds_of_time(holds.not_before_its_time), "host_started outside the own window"
    ),
    "a window that moves": Broken(keeps_to_hours_of_before, "host_started outside the own window"),
    "the window of a policy": Broken(
        with_holds_of_time(holds.not_before_its_time, in_its_own_window),
        "host_started outside the policy window",
        a_policy,
    ),
    "the window of a lock": Broken(
        gives_locks_without("window"), "lock_taken outside the policy window", a_lock
    ),
    "patience of a clock that is set back": Broken(
        waits_for_members_by_a_clock_of_before,
        "waits for members by a clock of before",
        a_limit_and_a_clock_that_is_set_back,
    ),
    "its gate": Broken(passes_gates(GATE), "host_started, and the own gate had not said yes"),
    "the gate of a policy": Broken(
        passes_gates(POLICY_GATE), "host_started, and the policy gate had not said yes", a_policy
    ),
    "a yes for each": Broken(takes_a_yes_for_all, "gate had not said yes"),
    "the gate of a lock": Broken(
        gives_locks_without("gate"), "lock_taken, and the policy gate had not said yes", a_lock
    ),
    "each firing once": Broken(
        forgets_what_fired(also_up_to_when=True), "it fired twice", a_schedule
    ),
    "a clock that was ahead": Broken(
        forgets_what_fired(also_up_to_when=False),
        "it fired twice",
        a_schedule_and_a_clock_that_is_ahead_again,
    ),
    "what was missed": Broken(
        says_nothing_of_the_missed, "nobody says what became", an_unsteady_schedule
    ),
    "in time": Broken(begins_however_late, "it fired when it was not due", an_unsteady_schedule),
    "what is due": Broken(looks_at_no_schedule, "nobody says what became", a_schedule),
    "a firing of each": Broken(
        says_that_it_began_nothing, "without a firing of its own", a_schedule
    ),
}
