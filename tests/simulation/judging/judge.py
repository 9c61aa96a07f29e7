"""What must be so in every story, whatever befell the fleet."""

from typing import Any

from domain.aggregates.host_events import Failed, Recovered
from domain.aggregates.operation import Operation
from domain.aggregates.operation_events import (
    HostDone,
    HostFailed,
    HostStarted,
    HostUnknown,
    StepDone,
    StepSent,
)
from domain.commands.operation_commands import STAYS_CORDONED
from runners.operations.host_step import HEALTH_LOOK_S
from tests.simulation.judging.judge_of_schedules import schedules_are_kept
from tests.simulation.judging.judge_of_waves import (
    budgets_are_kept,
    failed_before,
    waits_are_no_longer_than_asked_for,
    waves_are_kept,
)
from tests.simulation.judging.judge_of_windows import gates_are_asked, windows_are_kept
from tests.simulation.nodes import FOR_EVER
from tests.simulation.stage import NAME, Told

UNSEEN_S = HEALTH_LOOK_S + 1.0
"""A host is looked at so often: what is shorter than that nobody sees."""


def judge(told: Told) -> None:
    """Fails, with the whole story, where a promise was broken."""
    try:
        assert not told.defects
        _starts_keep_to_the_limits(told)
        _everybody_is_accounted_for(told)
        waves_are_kept(told)
        budgets_are_kept(told)
        waits_are_no_longer_than_asked_for(told)
        windows_are_kept(told)
        gates_are_asked(told)
        schedules_are_kept(told)
        _nothing_ran_twice(told)
        _outcomes_are_true(told)
        _who_is_done_was_healthy(told)
        _nodes_are_drained_and_given_back(told)
    except AssertionError as broken:
        raise AssertionError(f"{broken}\n{told.words}") from broken


def _starts_keep_to_the_limits(told: Told) -> None:
    replayed = Operation(NAME)
    unavailable = failed_before(told)
    started: set[str] = set()
    for _, _, event in told.log.entries:
        kind, _, name = event.originator_id.partition("/")
        if kind == "host" and isinstance(event, Failed) and name in told.machines:
            unavailable.add(name)
        if kind == "host" and isinstance(event, Recovered):
            unavailable.discard(name)
        if (kind, name) != ("operation", NAME):
            continue
        if isinstance(event, HostStarted):
            limits, busy = replayed.limits, replayed.with_outcome("in_process")
            assert replayed.state == "in_process", "nothing starts in a paused or cancelled one"
            assert len(busy) < limits.parallel, "max_parallel"
            assert len(replayed.with_outcome("failed", "unknown")) <= limits.failures, (
                "max_failures"
            )
            if limits.unavailable is not None:
                away = unavailable | {*busy, event.address}
                assert len(away) <= limits.unavailable, "max_unavailable"
            assert event.address not in started, "no host is started twice"
            started.add(event.address)
        stream: Any = event
        replayed.follow([stream])
    assert replayed.is_over, "every operation ends"


def _everybody_is_accounted_for(told: Told) -> None:
    operation = told.operation
    everybody = operation.with_outcome("waiting", "done", "failed", "unknown", "skipped")
    assert sorted(everybody) == sorted(told.machines), "nobody is silently dropped"
    if operation.state == "finished":
        assert sorted(operation.with_outcome("done")) == sorted(told.machines)
    assert told.log.unit.cluster("web").operation == "", "the cluster is free again"


def _nothing_ran_twice(told: Told) -> None:
    for machine in told.machines.values():
        assert all(count == 1 for count in machine.ran.values()), f"{machine.address} ran twice"
        assert machine.sent_after_other_key == 0, "something was sent behind another host key"


def _outcomes_are_true(told: Told) -> None:
    operation = told.operation
    sent = {(e.address, e.step) for _, e in told.of_operation if isinstance(e, StepSent)}
    kind = operation.request.kind
    first = "reboot" if kind == "restart" else kind
    for address, host in operation.hosts.items():
        machine = told.machines[address]
        step = machine.steps.get(f"{NAME}-{first}")
        ran = machine.ran[first]
        if host.outcome == "done":
            assert ran == 1, f"{address} is done, and nothing ran"
            assert kind == "restart" or (
                step is not None and step.exit_status == 0 and not step.killed
            )
            if host.boot_id:
                after = host.evidence.get("boot_id_after")
                assert after not in (None, host.boot_id), (
                    f"{address} is done, and no boot proves it"
                )
                assert machine.boot > int(host.boot_id), f"{address} is done, and never rebooted"
        if host.outcome in ("waiting", "skipped"):
            assert ran == 0, f"{address} was never started, and something ran"
        if kind != "restart" and (address, first) not in sent:
            assert ran == 0, f"{address} ran what was never said to be sent"
        if host.outcome == "failed" and kind != "restart":
            assert not machine.running(told.seconds), f"{address} failed, and still runs"
    done = [event for _, event in told.of_operation if isinstance(event, HostDone)]
    assert len({event.address for event in done}) == len(done)


def _who_is_done_was_healthy(told: Told) -> None:
    """From its last step on until it was called done, and nobody came after it before."""
    healthy_for_s = told.operation.request.options.healthy_for_s
    begun = {
        event.address: at
        for at, event in told.of_operation
        if isinstance(event, StepDone) and event.next == "health"
    }
    for at, event in told.of_operation:
        if not isinstance(event, HostDone) or not healthy_for_s:
            continue
        assert event.address in begun, f"{event.address} was not looked at in the end"
        # Both may have been said by somebody who stood still before it was stored.
        assert at - begun[event.address] >= healthy_for_s - told.pause_s_max, (
            "it was not waited for"
        )
        for down_at, up_at in told.machines[event.address].away:
            gap = min(up_at, at) - max(down_at, at - healthy_for_s)
            assert gap <= UNSEEN_S, f"{event.address} was away while it was called healthy"


def _nodes_are_drained_and_given_back(told: Told) -> None:
    """No step begins beside pods, and only who may be broken stays cordoned, and says so."""
    operation = told.operation
    reasons = {
        event.address: event.reason
        for _, event in told.of_operation
        if isinstance(event, HostFailed | HostUnknown)
    }
    for address, node in told.nodes.items():
        assert told.machines[address].hurt == 0, f"{address} was worked on beside its pods"
        if node.is_foreign:
            continue
        stays = STAYS_CORDONED in reasons.get(address, "")
        assert bool(node.cordoned) == stays, f"{address} is left cordoned: {node.cordoned!r}"
        host = operation.hosts.get(address)
        if operation.request.options.drain and host is not None:
            broken = host.outcome == "unknown" or (
                host.outcome == "failed" and host.step in ("reboot", "health") and host.sent
            )
            assert stays or not broken or operation.cancel_at, f"{address} is worth a look"
        if not operation.request.options.drain or host is None or host.outcome == "waiting":
            assert node.gone_at == FOR_EVER, f"{address} was drained, and nobody asked for it"
    foreign = [address for address, node in told.nodes.items() if node.was_foreign]
    assert all(told.nodes[address].is_foreign for address in foreign), "a cordon of somebody else"
