"""A schedule that is due, and the operation that it begins: in one transaction, or not at all."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from domain.aggregates.planning.schedule import Schedule
from domain.aggregates.planning.window import Window
from domain.refusal import conflict


class Schedules(Protocol):
    """The schedules, as of now."""

    def schedule(self, name: str) -> Schedule:
        """The schedule of this name, defined or not."""
        ...


class Windows(Protocol):
    """The windows, as of now."""

    def window(self, name: str) -> Window:
        """The window of this name, defined or not."""
        ...


class Unit(Schedules, Windows, Protocol):
    """Schedules with the windows that they keep to."""


Begin = Callable[[Mapping[str, Any], str], str]
"""Begins an operation of this id, by the body of a `POST /operations`; gives the id of the one that
is in process then. Raises a `Refusal`."""


# Any: plain JSON.
def define(unit: Unit, name: str, cron: str, zone: str, operation: dict[str, Any]) -> None:
    """Let a schedule be like this; nobody removes the window that its operations keep to."""
    schedule = unit.schedule(name)
    before, after = schedule.window, operation.get("window") or ""
    schedule.define(cron, zone, operation)
    if before != after:
        _leave_window(unit, schedule.id, before)
    if after:
        unit.window(after).take_up(schedule.id, "operation.window")


def remove(unit: Unit, name: str) -> None:
    """Let a schedule fire no more."""
    schedule = unit.schedule(name)
    before = schedule.window
    schedule.remove()
    _leave_window(unit, schedule.id, before)


def _leave_window(unit: Unit, schedule: str, window: str) -> None:
    if window:
        unit.window(window).release(schedule)


def fire(unit: Schedules, name: str, operation: str, begin: Begin) -> bool:
    """Begin what is due, once; whether it was due. Refused where the operation is."""
    schedule = unit.schedule(name)
    due = schedule.catch_up() if schedule.exists else None
    if due is None:
        return False
    if (begun := begin(schedule.operation, operation)) != operation:
        # Of the firing before, of another schedule, or somebody's.
        raise conflict(f"The same operation is in process already: {begun}.")
    schedule.fire(due, operation)
    return True


def give_up(unit: Schedules, name: str, reason: str) -> None:
    """Say why what is due cannot be begun; nothing where it was dealt with meanwhile."""
    schedule = unit.schedule(name)
    due = schedule.catch_up() if schedule.exists else None
    if due is not None:
        schedule.begin_nothing(due, reason)
