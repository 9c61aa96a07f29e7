"""An operation asks its gate before each start of a host: a veto waits, and is told."""

from typing import Any

import pytest

from domain.aggregates.operation import OperationRequest
from domain.aggregates.operation_events import HostStarted, Waits
from domain.aggregates.rolling_policy import checked_options
from domain.commands import operation_commands
from domain.event import Act, Event
from domain.rollouts.moves import Wait
from tests.domain.aggregates.test_operations import cluster_of, happened

HOSTS = [f"10.0.0.{number}" for number in range(1, 5)]
AT = "2026-01-02T03:04:05.000006"
VETO = Waits("gate", None, "Gate prod says no: alerts fire: Down.")
DOWN = {"prod": "alerts fire: Down"}


class Gated:
    """An upgrade of four hosts, two at a time, with a gate."""

    def __init__(self, **options: Any) -> None:
        self.unit = cluster_of(*HOSTS)
        wanted = checked_options("upgrade", {"gate": "prod", "max_parallel": 2} | options)
        self.do(operation_commands.start, "1", OperationRequest("upgrade", "web", "", wanted))
        happened(self.unit)

    def do(self, command: Any, *args: Any) -> Any:
        """Carry out a command."""
        self.unit.act = Act("ada", "test", AT)
        return command(self.unit, *args)

    def advance(self, verdicts: dict[str, str] | None = None) -> tuple[Wait, list[Event]]:
        """The runner looks, and may have asked before."""
        wait = self.do(operation_commands.advance, "1", *([verdicts] if verdicts else []))
        return wait, happened(self.unit)


def test_no_host_is_started_before_the_gate_was_asked_and_each_is_asked_about() -> None:
    gated = Gated()
    wait, events = gated.advance()
    assert (wait.asks, events) == (("prod",), [])
    wait, events = gated.advance({"prod": ""})
    assert events == [HostStarted(HOSTS[0])], "one answer is good for one host"
    assert wait.asks == ("prod",)
    wait, events = gated.advance({"prod": ""})
    assert events == [HostStarted(HOSTS[1])]
    assert wait.asks == (), "as many as may be are in process"


def test_a_veto_waits_is_told_once_with_its_reason_and_goes_on_when_it_clears() -> None:
    gated = Gated()
    wait, events = gated.advance(DOWN)
    assert (wait.what, events) == ("gate", [VETO])
    assert gated.advance(DOWN)[1] == []
    assert gated.advance()[1] == [], "nobody was asked: that is no news"
    assert gated.advance({"prod": "it answered 503"})[1] == [
        Waits("gate", None, "Gate prod says no: it answered 503.")
    ]
    assert gated.advance({"prod": ""})[1] == [HostStarted(HOSTS[0])]


def test_hosts_in_process_finish_under_a_veto_and_whoever_ends_starts_nobody() -> None:
    gated = Gated()
    gated.advance({"prod": ""})
    gated.do(operation_commands.finish_step, "1", HOSTS[0], "upgrade", {})
    assert [type(event) for event in happened(gated.unit)][1:] == []
    gated.do(operation_commands.steer, "1", "paused")
    gated.do(operation_commands.steer, "1", "in_process")
    assert HostStarted(HOSTS[1]) not in happened(gated.unit)
    assert gated.advance(DOWN)[1] == [VETO]


def test_a_paused_one_is_not_asked_about() -> None:
    gated = Gated()
    gated.do(operation_commands.steer, "1", "paused")
    assert gated.advance()[0].asks == ()


@pytest.mark.parametrize("verdicts", [{"other": ""}, {"other": "", "prod": "it answered 500"}])
def test_another_gate_opens_nothing(verdicts: dict[str, str]) -> None:
    gated = Gated()
    assert not [e for e in gated.advance(verdicts)[1] if isinstance(e, HostStarted)]
