"""What must be so of waves, whatever befell the fleet: told from the log alone."""

from typing import Any

from domain.aggregates.cluster import LockGiven, LockTaken
from domain.aggregates.host_events import Activated, Failed, Recovered
from domain.aggregates.operation import Operation
from domain.aggregates.operation_events import (
    HostDone,
    HostFailed,
    HostStarted,
    HostUnknown,
    WaveApproved,
    WaveStarted,
)
from domain.event import seconds_between
from domain.rollouts.budget import SLOTS, most_away
from tests.simulation.stage import NAME, Told


class Watched:
    """An operation, and when its hosts that are done were last not active."""

    def __init__(self, told: Told) -> None:
        self.operation = Operation(NAME)
        self.not_active = {
            address
            for address, host in told.log.unit.hosts.items()
            if host.status == "disassociated"
        }
        self.broken_at: dict[str, str] = {}
        self.settled_at = ""
        self.approvers: dict[int, set[str]] = {}

    def see_host(self, event: Any, address: str) -> None:
        """A host fails, or answers again."""
        if isinstance(event, Failed):
            self.not_active.add(address)
        if isinstance(event, Activated) or (
            isinstance(event, Recovered) and event.status == "active"
        ):
            self.not_active.discard(address)
        self.broken_at[address] = event.at


def waves_are_kept(told: Told) -> None:
    """No host of a later wave before all that stands before that wave is over."""
    watched = Watched(told)
    operation = watched.operation
    for _, _, event in told.log.entries:
        kind, _, name = event.originator_id.partition("/")
        if kind == "host" and isinstance(event, Failed | Recovered | Activated):
            watched.see_host(event, name)
        if kind != "operation":
            continue
        if isinstance(event, HostStarted):
            assert event.at >= operation.request.options.starts_at, "it began before its time"
            ends = [*operation.wave_ends, len(operation.hosts)]
            begun = len(operation.hosts) - operation.count("waiting")
            assert begun < ends[operation.wave - 1], "a host of a later wave"
        if isinstance(event, WaveApproved):
            watched.approvers.setdefault(event.wave, set()).add(event.actor)
        if isinstance(event, WaveStarted):
            _was_due(watched, event)
        if isinstance(event, HostDone | HostFailed | HostUnknown):
            watched.settled_at = event.at
        stream: Any = event
        operation.follow([stream])


def _was_due(watched: Watched, event: WaveStarted) -> None:
    operation = watched.operation
    rules = operation.listed[event.wave - 2]
    first = operation.wave_ends[event.wave - 3] if event.wave > 2 else 0
    wave = list(operation.hosts)[first : operation.wave_ends[event.wave - 2]]
    ended = {operation.hosts[address].outcome for address in wave}
    assert not ended & {"waiting", "in_process"}, "the wave before is not over"
    assert not wave or "done" in ended, "a canary failed, and that stopped nothing"
    done = operation.with_outcome("done")
    assert not watched.not_active & set(done), "a finished host is not active"
    for at in [watched.settled_at, *(watched.broken_at.get(each, "") for each in done)]:
        soaked = at == "" or seconds_between(at, event.at) >= rules["soak_s"]
        assert soaked, "the soak was cut short"
    approvers = watched.approvers.get(event.wave, set())
    assert approvers or not rules["approval"], "nobody approved the wave"
    if rules["approval"] == "second":
        assert approvers - {operation.starter}, "who began it approved it alone"


def budgets_are_kept(told: Told) -> None:
    """Never more away than the policy has it: failed, in process, and by themselves."""
    allowed = told.log.unit.cluster("web").max_unavailable
    operation, locks = Operation(NAME), set[str]()
    failed = {  # before the story
        e.originator_id.partition("/")[2]
        for e in told.log.unit.history
        if isinstance(e, Failed) and e.at < told.log.entries[0].event.at
    }
    for _, _, event in told.log.entries:
        kind, _, name = event.originator_id.partition("/")
        away = failed | locks | {*operation.with_outcome("in_process")}
        if isinstance(event, HostStarted):
            assert event.address not in locks, "it worked on a host that restarts by itself"
            if allowed is not None:
                most = most_away(allowed, len(told.machines))
                assert len(away | {event.address}) <= most, "the policy was not kept"
        if isinstance(event, LockTaken):
            most = most_away(SLOTS if allowed is None else allowed, len(told.machines))
            assert len(away | {event.address}) <= most, "more locks than slots"
            locks.add(event.address)
        if isinstance(event, LockGiven):
            locks.discard(event.address)
        if kind == "host" and isinstance(event, Failed):
            failed.add(name)
        if kind == "host" and isinstance(event, Recovered):
            failed.discard(name)
        if kind == "operation":
            stream: Any = event
            operation.follow([stream])
