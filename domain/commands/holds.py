"""What holds an operation back from its next host, beside its own limits and waves.

Each hold is asked in the transaction that would start the host; the first that has a reason is told
by the operation's record. What has to be asked elsewhere is asked before, and looked up here.
"""

from collections.abc import Callable, Mapping

from domain.aggregates.operation import Operation
from domain.commands.budget import Away, within_policy
from domain.commands.fleet_commands import Unit
from domain.event import seconds_between
from domain.rollouts.moves import Wait

OfTime = Callable[[Unit, Operation], Wait | None]
"""Asked about an operation, whichever host is next: what is waited for, if anything.

`operation.act.at` is the time."""


def not_before_its_time(unit: Unit, operation: Operation) -> Wait | None:
    """`starts_at`."""
    starts_at = operation.request.options.starts_at
    if operation.act.at < starts_at:
        return Wait("It is to begin later.", "start", starts_at)
    return None


def in_its_window(unit: Unit, operation: Operation) -> Wait | None:
    """`window`, of the operation and of the policy of its cluster."""
    options = operation.request.options
    policy = "" if options.override_policy else unit.cluster(operation.request.cluster).window
    for name, whose in ((options.window, "Its window"), (policy, "The window of its cluster")):
        opening = unit.window(name).opening(operation.act.at) if name else None
        if opening is not None and not opening.is_open:
            return Wait(f"{whose} {name} is closed.", "window", opening.next)
    return None


HOLDS_OF_TIME: tuple[OfTime, ...] = (not_before_its_time, in_its_window)
"""In the order in which they are asked."""


def is_its_time(unit: Unit, operation: Operation) -> bool:
    """Whether its `starts_at` and its windows let hosts be started now, whichever hosts."""
    return not any(hold(unit, operation) for hold in HOLDS_OF_TIME)


Verdicts = Mapping[str, str]
"""What gates have just answered, by their names: why not, or "" where they let it go on."""


NOBODY_ASKED: Verdicts = {}
VERDICT_S = 5.0
"""So long may what a gate has answered wait for its turn."""


def still_good(verdicts: Verdicts, answered_at: str, now: str) -> Verdicts:
    """What gates answered; nothing where whoever asked was held up since, and must ask again."""
    return verdicts if 0 <= seconds_between(answered_at, now) <= VERDICT_S else NOBODY_ASKED


def held_back(
    unit: Unit, operation: Operation, address: str, away: Away, verdicts: Verdicts
) -> Wait | None:
    """Why the next host must not be started now; None where it may. `away`: of its cluster.

    `Wait.what` is "" for what is not worth an event.
    """
    for hold in HOLDS_OF_TIME:
        if wait := hold(unit, operation):
            return wait
    if wait := within_policy(unit, operation, address, away):
        return wait
    options = operation.request.options
    policy = "" if options.override_policy else unit.cluster(operation.request.cluster).gate
    return held_by_gates(tuple(dict.fromkeys(filter(None, (options.gate, policy)))), verdicts)


def held_by_gates(gates: tuple[str, ...], verdicts: Verdicts) -> Wait | None:
    """`gate`, and that of the policy: asked before each start of a host, by whoever can."""
    unasked = tuple(name for name in gates if name not in verdicts)
    if unasked:
        return Wait("Its gate is to be asked.", asks=gates)
    vetoes = [f"Gate {name} says no: {verdicts[name]}." for name in gates if verdicts[name]]
    return Wait(" ".join(vetoes), "gate") if vetoes else None
