"""What must be so of waves, whatever befell the fleet: told from the log alone."""

from typing import Any

from domain.aggregates.cluster import LockGiven, LockTaken, PolicyChanged
from domain.aggregates.host_events import Activated, Failed, Recovered
from domain.aggregates.operation import Operation
from domain.aggregates.operation_events import (
    HostDone,
    HostFailed,
    HostStarted,
    HostUnknown,
    Waits,
    WaveApproved,
    WaveStarted,
)
from domain.aggregates.rolling_policy import AVAILABLE_AGAIN_S
from domain.event import Event, seconds_between, shifted
from domain.rollouts.budget import SLOTS, most_away
from tests.simulation.stage import NAME, Told


def failed_before(told: Told) -> set[str]:
    """Hosts that had failed before the story began."""
    return {e.originator_id.partition("/")[2] for e in told.before if isinstance(e, Failed)}


class Watched:
    """An operation, and when its hosts that are done were last not active."""

    def __init__(self, told: Told) -> None:
        self.operation = Operation(NAME)
        self.not_active = {
            address
            for address, host in told.log.unit.hosts.items()
            if host.status == "disassociated"
        }
        self.broken: dict[str, tuple[float, Event]] = {}
        self.settled: tuple[float, Event] | None = None
        self.approvers: dict[int, set[str]] = {}

    def see_host(self, second: float, event: Event, address: str) -> None:
        """A host fails, or answers again."""
        if isinstance(event, Failed):
            self.not_active.add(address)
        if isinstance(event, Activated) or (
            isinstance(event, Recovered) and event.status == "active"
        ):
            self.not_active.discard(address)
        self.broken[address] = second, event


def waves_are_kept(told: Told) -> None:
    """No host of a later wave before all that stands before that wave is over."""
    watched = Watched(told)
    operation = watched.operation
    for second, event in told.timed:
        kind, _, name = event.originator_id.partition("/")
        if kind == "host" and isinstance(event, Failed | Recovered | Activated):
            watched.see_host(second, event, name)
        if (kind, name) != ("operation", NAME):
            continue
        if isinstance(event, HostStarted):
            assert event.at >= operation.request.options.starts_at, "it began before its time"
            ends = [*operation.wave_ends, len(operation.hosts)]
            begun = len(operation.hosts) - operation.count("waiting")
            assert begun < ends[operation.wave - 1], "a host of a later wave"
        if isinstance(event, WaveApproved):
            watched.approvers.setdefault(event.wave, set()).add(event.actor)
        if isinstance(event, WaveStarted):
            _was_due(watched, told, second, event)
        if isinstance(event, HostDone | HostFailed | HostUnknown):
            watched.settled = second, event
        stream: Any = event
        operation.follow([stream])


def _was_due(watched: Watched, told: Told, second: float, event: WaveStarted) -> None:
    operation = watched.operation
    rules = operation.listed[event.wave - 2]
    first = operation.wave_ends[event.wave - 3] if event.wave > 2 else 0
    wave = list(operation.hosts)[first : operation.wave_ends[event.wave - 2]]
    ended = {operation.hosts[address].outcome for address in wave}
    assert not ended & {"waiting", "in_process"}, "the wave before is not over"
    assert not wave or "done" in ended, "a canary failed, and that stopped nothing"
    done = operation.with_outcome("done")
    assert not watched.not_active & set(done), "a finished host is not active"
    for last in [watched.settled, *(watched.broken.get(each) for each in done)]:
        if last is not None:
            _, back_s = told.wall.moved_s(last[0] - told.pause_s_max, second)
            soaked_s = seconds_between(last[1].at, event.at) + back_s
            assert soaked_s >= rules["soak_s"], "the soak was cut short"
    approvers = watched.approvers.get(event.wave, set())
    assert approvers or not rules["approval"], "nobody approved the wave"
    if rules["approval"] == "second":
        assert approvers - {operation.starter}, "who began it approved it alone"


def waits_are_no_longer_than_asked_for(told: Told) -> None:
    """However long the clock was set back, a soak is not longer, nor the patience with members."""
    soaks = [wave["soak_s"] for wave in told.operation.request.options.waves]
    most = {"soak": max(soaks, default=0.0), "members": AVAILABLE_AGAIN_S}
    happened = list(told.of_operation)
    ends = [*(second for second, _ in happened[1:]), told.seconds]
    for (second, event), end in zip(happened, ends, strict=True):
        if not isinstance(event, Waits) or event.what not in most or event.until is None:
            continue
        for seen in told.wall.set_between(second, end - told.looked_s):
            _, latest = told.wall.shown(seen, seen + told.looked_s)
            longest = shifted(latest, most[event.what] + told.pause_s_max)
            assert event.until <= longest, f"it waits for {event.what} by a clock of before"


def budgets_are_kept(told: Told) -> None:
    """Never more away than the policy has it: failed, in process, and by themselves."""
    policies = [event for event in told.before if isinstance(event, PolicyChanged)]
    allowed = policies[-1].max_unavailable if policies else None
    operation, locks = Operation(NAME), set[str]()
    failed = failed_before(told)
    for _, event in told.timed:
        kind, _, name = event.originator_id.partition("/")
        if isinstance(event, PolicyChanged):
            allowed = event.max_unavailable
        if name not in (NAME, "web", *told.machines):
            continue
        away = failed | locks | {*operation.with_outcome("in_process")}
        if isinstance(event, HostStarted):
            assert event.address not in locks, "it worked on a host that restarts by itself"
            if allowed is not None and not operation.request.options.override_policy:
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
