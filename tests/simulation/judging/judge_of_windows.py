"""What must be so of windows and gates, whatever befell the fleet: told from the log alone."""

from domain.aggregates.operation_events import HostStarted, Started
from domain.aggregates.planning.window import Defined as WindowDefined
from domain.aggregates.planning.window import Hours, WindowEvent
from domain.event import Event, shifted
from tests.simulation.stage import NAME, WINDOW, Told

FRESH_S = 10.0
"""An answer may wait for so long until it is acted on."""


def windows_are_kept(told: Told) -> None:
    """No host is started outside the window, as it was defined then."""
    hours: Hours | None = None
    window = ""
    for _, _, event in told.log.entries:
        match event:
            case Started():
                window = event.options["window"]
            case WindowDefined():
                dates = tuple(event.except_dates)
                hours = Hours(event.zone, event.starts, event.duration_s, dates)
            case HostStarted() if window:
                assert hours is not None
                assert hours.opening(event.at).is_open, "a host was started outside its window"
    uses = [entry.event for entry in told.log.entries if _is_of_its_window(entry.event)]
    expected = ["window.taken_up", "window.released"] if window else []
    assert [event.TOPIC for event in uses] == expected[: 1 + told.operation.is_over]


def gates_are_asked(told: Told) -> None:
    """Each host is started on a yes of its own, which came just before."""
    started = [entry.event for entry in told.log.entries if isinstance(entry.event, HostStarted)]
    if not told.operation.request.options.gate:
        assert not told.gates.answers, "nobody asked for that"
        return
    yes = [at for at, says_yes in told.gates.answers if says_yes]
    for event in started:
        fresh = [at for at in yes if shifted(event.at, -FRESH_S) <= at <= event.at]
        assert fresh, "a host was started, and its gate had not said yes"
        yes.remove(fresh[0])


def _is_of_its_window(event: Event) -> bool:
    """Whether the operation took it up, or left it."""
    return (
        isinstance(event, WindowEvent)
        and event.originator_id == f"window/{WINDOW}"
        and getattr(event, "by", "") == f"operation/{NAME}"
    )
