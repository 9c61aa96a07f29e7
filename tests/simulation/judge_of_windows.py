"""What must be so of windows, whatever befell the fleet: told from the log alone."""

from domain.aggregates.operation_events import HostStarted, Started
from domain.aggregates.planning.window import Defined as WindowDefined
from domain.aggregates.planning.window import Hours, WindowEvent
from domain.event import Event
from tests.simulation.story import NAME, WINDOW, Told


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


def _is_of_its_window(event: Event) -> bool:
    """Whether the operation took it up, or left it."""
    return (
        isinstance(event, WindowEvent)
        and event.originator_id == f"window/{WINDOW}"
        and getattr(event, "by", "") == f"operation/{NAME}"
    )
