"""What waves cost: events and CPU of an operation, and how long a decision takes at its end."""

import time
from collections import deque
from typing import Any

import pytest

from domain.aggregates.host import Host
from domain.aggregates.operation import Operation, OperationRequest
from domain.aggregates.operation_events import HostStarted
from domain.aggregates.rolling_policy import Options, Outcome, checked_options
from domain.commands import operation_commands
from domain.event import Act, shifted
from tests.domain.aggregates.test_operations import cluster_of
from tests.domain.memory_unit import MemoryUnit

PARALLEL = 50
SOAK_S = 60.0
FIVE = [{"hosts": hosts, "soak_s": SOAK_S} for hosts in (1, "1%", "10%", "50%")]
"""And the rest is the fifth."""
AT_MOST = 1.2
BEGIN = "2026-01-02T03:00:00.000000"


def options(waves: list[dict[str, Any]]) -> Options:
    """As many at once as one would take of a large fleet."""
    return checked_options("upgrade", {"max_parallel": PARALLEL, "waves": waves})


def roll(unit: MemoryUnit, name: str, waves: list[dict[str, Any]]) -> tuple[int, float]:
    """An upgrade of all to its end; gives how many events it made, and how much CPU that took."""
    at, before = BEGIN, time.process_time()
    unit.act = Act("ada", "test", at)
    unit.did()
    wanted = OperationRequest("upgrade", "web", "", options(waves))
    operation_commands.start(unit, name, wanted)
    operation_commands.advance(unit, name)
    operation, made, running = unit.operation(name), 0, deque[str]()
    while not operation.is_over:
        for _, event in unit.did():
            made += 1
            if isinstance(event, HostStarted):
                running.append(event.address)
        if running:
            address = running.popleft()
            operation_commands.send_step(unit, name, address, "upgrade")
            operation_commands.finish_step(unit, name, address, "upgrade", {})
        else:
            at = shifted(at, SOAK_S)
            unit.act = Act("runner:rolling", "test", at)
            operation_commands.advance(unit, name)
    assert operation.state == "finished"
    return made + len(unit.did()), time.process_time() - before


def fleet(size: int) -> MemoryUnit:
    """A cluster of so many hosts."""
    return cluster_of(*(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(size)))


def test_five_waves_cost_few_events() -> None:
    unit = fleet(1_000)
    plain, waves = roll(unit, "1", [])[0], roll(unit, "2", FIVE)[0]
    assert waves - plain == 2 * len(FIVE), "each wave is one event, and each soak"
    assert waves <= AT_MOST * plain


@pytest.mark.proof
def test_five_waves_over_10_000_hosts_cost_at_most_a_fifth_more_events_and_cpu() -> None:
    unit = fleet(10_000)
    plain = [roll(unit, f"plain-{number}", []) for number in range(3)]
    waves = [roll(unit, f"waves-{number}", FIVE) for number in range(3)]
    assert waves[0][0] <= AT_MOST * plain[0][0]
    assert min(cpu for _, cpu in waves) <= AT_MOST * min(cpu for _, cpu in plain)


@pytest.mark.parametrize("own", [None, "100%"])
def test_a_decision_looks_at_each_member_once_for_the_policy_however_many_hosts_it_starts(
    own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, looked = fleet(500), list[str]()
    unit.cluster("web").change_policy("100%")
    wanted = checked_options("upgrade", {"max_parallel": "50%", "max_unavailable": own})
    operation_commands.start(unit, "1", OperationRequest("upgrade", "web", "", wanted))
    host = MemoryUnit.host

    def watched(unit: MemoryUnit, address: str) -> Host:
        looked.append(address)
        return host(unit, address)

    monkeypatch.setattr(MemoryUnit, "host", watched)
    operation_commands.advance(unit, "1")
    assert unit.operation("1").count("in_process") == 250
    assert len(looked) == len(set(looked)) == 500


def test_a_decision_looks_at_nobody_who_is_done_or_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    with_outcome, seen = Operation.with_outcome, list[int]()

    def watched(operation: Operation, *outcomes: Outcome) -> list[str]:
        found = with_outcome(operation, *outcomes)
        seen.append(len(found))
        return found

    monkeypatch.setattr(Operation, "with_outcome", watched)
    roll(fleet(500), "1", FIVE)
    assert max(seen) <= PARALLEL
