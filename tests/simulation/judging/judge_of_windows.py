"""What must be so of windows and gates, whatever befell the fleet: told from the log alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from domain.aggregates.cluster import LockTaken, PolicyChanged
from domain.aggregates.operation_events import HostStarted, Started
from domain.aggregates.planning.window import Defined as WindowDefined
from domain.aggregates.planning.window import Hours, WindowEvent
from domain.event import Event
from tests.simulation.plans import WINDOW
from tests.simulation.stage import NAME, Told

FRESH_S = 10.0
"""An answer may wait for so long until it is acted on."""


@dataclass
class Rules:
    """The windows as they are defined, and what the operation and the policy name."""

    hours: dict[str, Hours] = field(default_factory=dict)
    window: str = ""
    gate: str = ""
    overrides: bool = False
    policy: PolicyChanged = field(default_factory=lambda: PolicyChanged(None))

    def see(self, event: Event) -> None:
        """Fold what says how it is to be from now on."""
        match event:
            case Started() if event.originator_id == f"operation/{NAME}":
                options = event.options
                self.window, self.gate = options["window"], options["gate"]
                self.overrides = options["override_policy"]
            case WindowDefined():
                dates = tuple(event.except_dates)
                hours = Hours(event.zone, event.starts, event.duration_s, dates)
                self.hours[event.originator_id.partition("/")[2]] = hours
            case PolicyChanged() if event.originator_id == "cluster/web":
                self.policy = event
            case _:
                pass

    def of(self, event: HostStarted | LockTaken) -> Iterator[tuple[str, str, str]]:
        """What must let it begin: whose window and gate."""
        if isinstance(event, HostStarted):
            yield "own", self.window, self.gate
        if isinstance(event, LockTaken) or not self.overrides:
            yield "policy", self.policy.window, self.policy.gate


def _begun(told: Told) -> Iterator[tuple[float, HostStarted | LockTaken, Rules]]:
    """Each host that was started, and each lock, with the rules as they were then."""
    rules = Rules()
    for event in told.before:
        rules.see(event)
    for second, event in told.timed:
        rules.see(event)
        if event.originator_id in (f"operation/{NAME}", "cluster/web") and isinstance(
            event, HostStarted | LockTaken
        ):
            yield second, event, rules


def windows_are_kept(told: Told) -> None:
    """No host is started outside its windows, and no lock given, as they were defined then."""
    for _, event, rules in _begun(told):
        for whose, window, _ in rules.of(event):
            is_open = not window or rules.hours[window].opening(event.at).is_open
            assert is_open, f"{event.TOPIC} outside the {whose} window"
    uses = [entry.event for entry in told.log.entries if _is_of_its_window(entry.event)]
    named = told.operation.request.options.window
    expected = ["window.taken_up", "window.released"] if named else []
    assert [event.TOPIC for event in uses] == expected[: 1 + told.operation.is_over]


def gates_are_asked(told: Told) -> None:
    """Each host and each lock has a yes of its own from each gate, which came just before."""
    yes = [(at, gate) for at, gate, says_yes in told.gates.answers if says_yes]
    named = {each.gate for each in _policies(told)} | {told.operation.request.options.gate}
    assert {gate for _, gate, _ in told.gates.answers} <= named, "nobody asked for that"
    for second, event, rules in _begun(told):
        gates = {gate: whose for whose, _, gate in rules.of(event) if gate}
        for gate, whose in gates.items():
            # Where the clock was set meanwhile, a process that stood still does not know it.
            fresh_s = FRESH_S + sum(told.wall.moved_s(second - told.pause_s_max, second))
            found = [one for one in yes if one[1] == gate and second - fresh_s <= one[0] <= second]
            assert found, f"{event.TOPIC}, and the {whose} gate had not said yes"
            yes.remove(found[0])


def _policies(told: Told) -> list[PolicyChanged]:
    happened = [*told.before, *(event for _, event in told.timed)]
    return [event for event in happened if isinstance(event, PolicyChanged)]


def _is_of_its_window(event: Event) -> bool:
    """Whether the operation took it up, or left it."""
    return (
        isinstance(event, WindowEvent)
        and event.originator_id == f"window/{WINDOW}"
        and getattr(event, "by", "") == f"operation/{NAME}"
    )
