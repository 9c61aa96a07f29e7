"""Random fleets, options, faults and interleavings: the promises of an operation hold in all."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.aggregates.host_events import Activated, Recovered
from domain.aggregates.host_events import Failed as HostIsFailed
from domain.aggregates.operation import OVER, Operation, OperationRequest
from domain.aggregates.operation_events import HostStarted
from domain.aggregates.rolling_policy import Kind, Options, Outcome
from domain.commands import operation_commands
from domain.commands.operation_commands import Wish
from domain.event import TIME_FORMAT
from tests.domain.aggregates.test_operations import cluster_of
from tests.domain.given import ACT
from tests.domain.memory_unit import MemoryUnit

PERCENT = st.sampled_from(["1%", "25%", "50%", "100%"])
OPTIONS = st.builds(
    Options,
    max_parallel=st.integers(1, 5) | PERCENT,
    max_failures=st.integers(0, 4) | PERCENT,
    max_unavailable=st.none() | st.integers(1, 4) | PERCENT,
    healthy_for_s=st.sampled_from([0.0, 5.0]),
    reboot=st.sampled_from(["never", "always"]),
)
KIND: st.SearchStrategy[Kind] = st.sampled_from(["upgrade", "deploy", "restart"])
DEED = st.tuples(
    st.sampled_from(
        ["well", "well", "well", "well", "fail", "lose", "off", "on", "pause", "resume", "cancel"]
    ),
    st.integers(0, 9),
)


class Run:
    """One operation over `size` hosts, and everything that befalls it."""

    def __init__(self, size: int, request: OperationRequest) -> None:
        self.addresses = [f"10.0.0.{number + 1}" for number in range(size)]
        self.unit: MemoryUnit = cluster_of(*self.addresses)
        self.started: Counter[str] = Counter()
        self.at = datetime.fromisoformat(ACT.at)
        operation_commands.start(self.unit, "1", request)
        self.go_on()

    @property
    def operation(self) -> Operation:
        """As it is now."""
        return self.unit.operations["1"]

    def go_on(self) -> None:
        """Let it do what it may; judge every start by the state that it was decided in."""
        operation_commands.advance(self.unit, "1")
        self.judge()

    def judge(self) -> None:
        """Replay what happened, event by event, and hold each start against the limits."""
        events = self.unit.did()
        replayed = Operation("1")
        unavailable: set[str] = set()
        for subject, event in [(e.originator_id, e) for e in self.unit.history]:
            address = subject.partition("/")[2]
            if isinstance(event, HostIsFailed):
                unavailable.add(address)
            if isinstance(event, Recovered | Activated):
                unavailable.discard(address)
            if subject != "operation/1":
                continue
            if isinstance(event, HostStarted):
                self._must_be_allowed(replayed, event.address, unavailable)
            stream: Any = event
            replayed.follow([stream])
        self.started.update(e.address for _, e in events if isinstance(e, HostStarted))
        assert all(count == 1 for count in self.started.values()), "no host is started twice"
        assert replayed.state == self.operation.state
        assert replayed.hosts == self.operation.hosts

    @staticmethod
    def _must_be_allowed(before: Operation, address: str, unavailable: set[str]) -> None:
        busy = before.with_outcome("in_process")
        assert len(busy) < before.limits.parallel
        assert len(before.with_outcome("failed", "unknown")) <= before.limits.failures
        assert before.state == "in_process", "nothing starts in a paused or cancelled one"
        if before.limits.unavailable is not None:
            assert len(unavailable | {*busy, address}) <= before.limits.unavailable

    def do(self, deed: str, number: int) -> None:
        """Something happens to the operation, or to a host."""
        operation, unit = self.operation, self.unit
        wishes: dict[str, Wish] = {
            "pause": "paused",
            "resume": "in_process",
            "cancel": "cancelled",
        }
        if deed in ("off", "on"):
            self._switch(self.addresses[number % len(self.addresses)], deed)
        elif deed in wishes:
            if operation.state not in OVER and operation.state != "cancelling":
                operation_commands.steer(unit, "1", wishes[deed])
        elif busy := operation.with_outcome("in_process"):
            address = busy[number % len(busy)]
            step = operation.hosts[address].step
            if deed == "well":
                reboot = operation.request.options.reboot == "always"
                operation_commands.finish_step(unit, "1", address, step, {}, reboot=reboot)
            elif deed == "fail":
                operation_commands.fail_host(unit, "1", address, step, "No.", {})
            else:
                operation_commands.mark_unknown(unit, "1", address, step, "Silence.", {})
        self.go_on()

    def _switch(self, address: str, to: str) -> None:
        host = self.unit.host(address)
        if to == "off":
            host.fail("unreachable", "It is off.")
        elif host.facts is not None:
            host.gather_facts(host.facts)

    def pass_time(self) -> None:
        """So much that whatever waits for a time has had it."""
        self.at += timedelta(hours=1)
        self.unit.act = ACT._replace(at=self.at.strftime(TIME_FORMAT))
        operation_commands.advance(self.unit, "1")
        self.judge()


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 9), KIND, OPTIONS, st.lists(DEED, max_size=40))
def test_an_operation_keeps_to_its_limits_and_ends_whatever_happens(
    size: int, kind: Kind, options: Options, deeds: list[tuple[str, int]]
) -> None:
    run = Run(max(size, 1), OperationRequest(kind, "web", "1" if kind == "deploy" else "", options))
    for deed, number in deeds:
        run.do(deed, number)
    # What is in process comes to an end one way or another, and nobody keeps it paused.
    for _ in range(4 * 10):
        if run.operation.is_over:
            break
        if run.operation.state == "paused":
            run.do("resume", 0)
        run.do("well", 0)
        if not run.operation.with_outcome("in_process"):
            run.pass_time()
    assert run.operation.is_over
    assert run.operation.with_outcome("in_process") == []
    assert run.unit.cluster("web").operation == ""
    everybody = run.operation.with_outcome("waiting", "done", "failed", "unknown", "skipped")
    assert sorted(everybody) == sorted(run.addresses), "nobody is silently dropped"


@pytest.mark.parametrize("outcome", ["waiting", "skipped", "in_process"])
def test_a_host_that_is_in_process_cannot_go_back(outcome: Outcome) -> None:
    run = Run(1, OperationRequest("upgrade", "web", "", Options()))
    with pytest.raises(ValueError, match="cannot go"):
        run.operation.settle("10.0.0.1", outcome)
