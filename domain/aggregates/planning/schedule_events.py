"""What happens to a schedule."""

from dataclasses import dataclass
from typing import Any, ClassVar

from domain.event import Event


class ScheduleEvent(Event):
    """Something that happened to a schedule."""

    TOPIC = "schedule"


@dataclass(frozen=True)
class Defined(ScheduleEvent):
    """It fires like this from now on: it may have been otherwise, or not there.

    `operation`: the body of the `POST /operations` that each firing stands for, as it was sent.
    """

    TOPIC: ClassVar[str] = "schedule.defined"
    cron: str
    zone: str
    operation: dict[str, Any]


@dataclass(frozen=True)
class Fired(ScheduleEvent):
    """It fired, and began an operation. `due`: the time that it was due at, once for each."""

    TOPIC: ClassVar[str] = "schedule.fired"
    due: str
    operation: str


@dataclass(frozen=True)
class NotBegun(ScheduleEvent):
    """It fired, and the operation could not be begun; `reason` is for people."""

    TOPIC: ClassVar[str] = "schedule.not_begun"
    due: str
    reason: str


@dataclass(frozen=True)
class Missed(ScheduleEvent):
    """Nobody was there when it was due: so many times, from `first` to `due`."""

    TOPIC: ClassVar[str] = "schedule.missed"
    first: str
    due: str
    count: int


@dataclass(frozen=True)
class SetBack(ScheduleEvent):
    """The clock had been far ahead: what is due after this time is still to come. What had fired
    then does not fire again."""

    TOPIC: ClassVar[str] = "schedule.set_back"
    after: str


@dataclass(frozen=True)
class Removed(ScheduleEvent):
    """It fires no more."""

    TOPIC: ClassVar[str] = "schedule.removed"


AnyScheduleEvent = Defined | Fired | NotBegun | Missed | SetBack | Removed
