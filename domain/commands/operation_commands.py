"""Commands on rolling operations, and what each means for the cluster and its hosts.

The runner records what it did and found with these; each outcome decides in the same transaction
what follows from it, so the limits of an operation hold whatever is in flight.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache, partial
from typing import Literal

from domain.aggregates.host_events import FailureKind
from domain.aggregates.operation import Operation, OperationRequest
from domain.aggregates.operation_events import Evidence, Step
from domain.aggregates.rolling_policy import next_move
from domain.commands import planning
from domain.commands.budget import Away, not_available
from domain.commands.fleet_commands import Unit
from domain.commands.holds import NOBODY_ASKED, Verdicts, held_back, is_its_time
from domain.commands.planning import Plan
from domain.refusal import conflict
from domain.rollouts.moves import BeginWave, Over, Start, Wait

STAYS_CORDONED = "Its node stays cordoned: a retry that succeeds ends that, or kubectl uncordon."
Wish = Literal["paused", "in_process", "cancelled"]


def plan(unit: Unit, request: OperationRequest, matching: Collection[str] = ()) -> Plan:
    """Which members it takes. Changes nothing.

    `matching`: those that the filters let through, where there are filters.
    """
    unit.cluster(request.cluster).must_exist()
    return planning.of_members(unit, planning.asked(unit, request), matching)


def start(
    unit: Unit,
    name: str,
    request: OperationRequest,
    matching: Collection[str] = (),
    digest: str | None = None,
) -> str:
    """Begin an operation, and give its id: that of the very same, where that is in process.

    `matching` is as for `plan`; with `digest` it is begun only where that is the plan's.
    """
    cluster = unit.cluster(request.cluster)
    cluster.must_exist()
    request = planning.asked(unit, request)
    if cluster.operation:
        current = unit.operation(cluster.operation)
        same = current.request == request and not current.predecessor
        # What is being cancelled does not do what is asked for now: that is to wait for its end.
        if same and not current.is_cancelling:
            return current.name
    cluster.start_operation(name)
    found = plan(unit, request, matching)
    if digest not in (None, found.digest):
        raise conflict("The plan is another one by now: ask for it again with dry_run.", "plan")
    unit.operation(name).start(
        request, found.hosts, found.skipped, members=found.members, waves=found.waves
    )
    _keep_to_window(unit, name)
    return name


def retry(unit: Unit, name: str, predecessor: str) -> str:
    """Begin anew over what another operation left undone, and give the id of the new one.

    An operation is retried once, or an answer that was lost would be a second restart: whoever
    asks again gets the same, and retries that one if need be.
    """
    before = unit.operation(predecessor)
    before.must_exist()
    cluster = unit.cluster(before.request.cluster)
    cluster.must_exist()
    if before.successor and not unit.operation(before.successor).is_cancelling:
        return before.successor
    if not before.is_over:
        raise conflict(f"Operation {predecessor} is not over yet: wait until it is, or cancel it.")
    left = undone(before)
    if not left:
        raise conflict(f"Operation {predecessor} left nothing undone.")
    cluster.start_operation(name)
    before.retry(name)
    in_order = {address: left[address] for address in cluster.members if address in left}
    # The cluster may be another one of that name, without what there was to drain.
    wish = None if before.request.options.drain is not False else False
    options = replace(before.request.options, drain=wish, override_policy=False)
    request = replace(before.request, options=options)
    found = planning.of(unit, planning.decided(unit, request), in_order | left, strict=False)
    unit.operation(name).start(
        found.request, found.hosts, found.skipped, predecessor, found.members, found.waves
    )
    _keep_to_window(unit, name)
    return name


def _keep_to_window(unit: Unit, name: str) -> None:
    """Nobody removes the window while the operation is there."""
    operation = unit.operation(name)
    if window := operation.request.options.window:
        unit.window(window).take_up(operation.id, "window")


def undone(before: Operation) -> dict[str, int]:
    """What an operation left undone, with the attempts so far."""
    return {
        address: before.hosts[address].attempts if address in before.hosts else 0
        for address in before.with_outcome("waiting", "failed", "unknown", "skipped")
    }


def steer(unit: Unit, name: str, wish: Wish) -> None:
    """Pause, resume or cancel."""
    operation = unit.operation(name)
    match wish:
        case "paused":
            operation.pause()
        case "in_process":
            operation.resume()
        case "cancelled":
            operation.cancel()
    advance(unit, name)


# What the runner says


def advance(unit: Unit, name: str, verdicts: Verdicts = NOBODY_ASKED) -> Wait | None:
    """Start what may start now, or end what is over. What is waited for; None where it is over.

    `verdicts`: what its gates have just answered, which is good for one host.
    """
    operation = unit.operation(name)
    if operation.state == "" or operation.is_over:
        return None
    for address in list(operation.unwell):
        if unit.host(address).status == "active":
            operation.regain(address)
    # Looked for once: of those that are started here each counts as in process.
    away = cache(partial(not_available, unit, operation.request.cluster))
    unavailable = away() if _may_end_for_members(unit, operation) else ()
    while True:
        match next_move(operation, unavailable, operation.act.at):
            case Start(address):
                if hold := _held_back(unit, operation, address, away, verdicts):
                    return hold
                verdicts = NOBODY_ASKED
                manager = planning.manager_of(unit, operation.request, address)
                operation.start_host(address, manager)
            case BeginWave(wave):
                # Begun with its first host, or one that is done might fail unseen until then.
                if hold := _before_wave(unit, operation, away, verdicts):
                    return hold
                operation.start_wave(wave)
            case Wait() as wait:
                operation.tell(wait)
                return wait
            case Over(status, reason):
                operation.end(status, reason)
                unit.cluster(operation.request.cluster).end_operation(name)
                if window := operation.request.options.window:
                    unit.window(window).release(operation.id)
                return None


def _before_wave(unit: Unit, operation: Operation, away: Away, verdicts: Verdicts) -> Wait | None:
    """What holds the first host of the next wave back; None where that wave has no host."""
    address = operation.first_of_next_wave
    return _held_back(unit, operation, address, away, verdicts) if address else None


def _held_back(
    unit: Unit, operation: Operation, address: str, away: Away, verdicts: Verdicts
) -> Wait | None:
    """What holds it back, told by its record; a gate that is only to be asked is not told."""
    hold = held_back(unit, operation, address, away, verdicts)
    if hold and not hold.asks:
        operation.tell(hold)
    return hold


def _may_end_for_members(unit: Unit, operation: Operation) -> bool:
    """Whether members that are away count for its own limit.

    Not outside its time: what is away by day ends no operation of the night.
    """
    return operation.limits.unavailable is not None and is_its_time(unit, operation)


def send_step(unit: Unit, name: str, address: str, step: Step) -> bool:
    """Say that a step is to be sent; False where it must not be, or is not due any more."""
    operation = unit.operation(name)
    if operation.state == "cancelling":
        return False
    operation.send_step(address, step)
    host = operation.hosts[address]
    return host.outcome == "in_process" and host.step == step


def wait(unit: Unit, name: str, address: str, step: Step, reason: str) -> None:
    """Record what a step that runs waits for; "" once it goes on."""
    unit.operation(name).wait(address, step, reason)


def request_reboot(unit: Unit, name: str, address: str, boot_id: str) -> bool:
    """Record that the host is about to be rebooted; False if the operation is being cancelled."""
    operation = unit.operation(name)
    if operation.state == "cancelling":
        return False
    operation.request_reboot(address, boot_id)
    host = operation.hosts[address]
    return host.outcome == "in_process" and host.step == "reboot" and host.boot_id == boot_id


def finish_step(
    unit: Unit, name: str, address: str, step: Step, evidence: Evidence, *, reboot: bool = False
) -> None:
    """A step went well; `reboot`: one is to follow."""
    operation = unit.operation(name)
    if operation.state == "cancelling" and reboot:
        fail_host(unit, name, address, step, "It was cancelled before its reboot.", evidence)
        return
    operation.finish_step(address, step, evidence, reboot=reboot)
    host = operation.hosts.get(address)
    if host is not None and host.outcome == "done":
        _tell_unwell(unit, operation, address)
    advance(unit, name)


def fail_host(
    unit: Unit,
    name: str,
    address: str,
    step: Step,
    reason: str,
    evidence: Evidence,
    *,
    cut_short: bool = False,
) -> None:
    """A step of the host failed. The node of the host takes pods again, unless it may be broken.

    `cut_short`: commands of the step had begun, and were killed.
    """
    operation = unit.operation(name)
    if operation.is_at(address, step) and operation.cordons(address):
        if operation.leaves_cordoned(address, cut_short=cut_short):
            reason = f"{reason} {STAYS_CORDONED}"
        else:
            manager = unit.container_manager(operation.hosts[address].container_manager)
            manager.want_uncordon(address, name)
    operation.fail_host(address, step, reason, evidence)
    advance(unit, name)


def mark_unknown(
    unit: Unit, name: str, address: str, step: Step, reason: str, evidence: Evidence
) -> None:
    """Nobody can tell what became of a step: its node gets no pods."""
    operation = unit.operation(name)
    if operation.is_at(address, step) and operation.cordons(address):
        reason = f"{reason} {STAYS_CORDONED}"
    operation.mark_unknown(address, step, reason, evidence)
    advance(unit, name)


def notice_failure(unit: Unit, address: str) -> None:
    """A host has failed by itself: no wave follows the one that it was done in."""
    cluster = unit.host(address).cluster
    name = unit.cluster(cluster).operation if cluster else ""
    operation = unit.operation(name) if name else None
    if operation is None or not operation.wave_ends or address not in operation.hosts:
        return
    if operation.hosts[address].outcome == "done" and not operation.is_over:
        _tell_unwell(unit, operation, address)
        advance(unit, name)


def _tell_unwell(unit: Unit, operation: Operation, address: str) -> None:
    host = unit.host(address)
    if host.status != "active":
        operation.lose(address, host.failure.reason if host.failure else f"It is {host.status}.")


def fail_itself(unit: Unit, name: str, address: str, kind: FailureKind, reason: str) -> None:
    """The host of a step could not be worked with: its status says so too, until it answers."""
    _of_a_host_in_process(unit, name, address, lambda: unit.host(address).fail(kind, reason))


def refuse_key(unit: Unit, name: str, address: str, fingerprint: str, reason: str) -> None:
    """The host of a step showed another key than the pinned one."""
    _of_a_host_in_process(
        unit, name, address, lambda: unit.host(address).refuse_key(fingerprint, reason)
    )


def _of_a_host_in_process(unit: Unit, name: str, address: str, command: Callable[[], None]) -> None:
    if address in unit.operation(name).with_outcome("in_process") and unit.host(address).registered:
        command()
