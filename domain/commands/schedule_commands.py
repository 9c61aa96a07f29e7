"""A schedule that is due, and the operation that it begins: in one transaction, or not at all."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from domain.aggregates.planning.schedule import Schedule
from domain.refusal import conflict


class Unit(Protocol):
    """The schedules, as of now."""

    def schedule(self, name: str) -> Schedule:
        """The schedule of this name, existing or not."""
        ...


Begin = Callable[[Mapping[str, Any], str], str]
"""Begins an operation of this id, by the body of a `POST /operations`; gives the id of the one that
is in process then. Raises a `Refusal`."""


def fire(unit: Unit, name: str, operation: str, begin: Begin) -> bool:
    """Begin what is due, once; whether it was due. Refused where the operation is."""
    schedule = unit.schedule(name)
    due = schedule.catch_up() if schedule.exists else None
    if due is None:
        return False
    if begin(schedule.operation, operation) != operation:
        raise conflict("The operation of the firing before is still in process.")
    schedule.fire(due, operation)
    return True


def give_up(unit: Unit, name: str, reason: str) -> None:
    """Say why what is due cannot be begun; nothing where it was dealt with meanwhile."""
    schedule = unit.schedule(name)
    due = schedule.catch_up() if schedule.exists else None
    if due is not None:
        schedule.begin_nothing(due, reason)
