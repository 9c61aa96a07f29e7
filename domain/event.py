"""Events: what happened, who asked for it, and what it follows from.

Every event class has a `TOPIC` that is stored with it and never changes, whatever becomes of the
module that it lives in. Events hold plain JSON values only.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, NamedTuple

from eventsourcing.utils import register_topic

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%f"
"""UTC, ISO 8601, always six fractional digits and no offset."""
FIRST_TIME, LAST_TIME = "0001-01-01T00:00:00.000000", "9999-12-31T23:59:59.999999"

LeaveReason = Literal["", "taken_out", "host_removed", "cluster_removed"]
"""Why a host leaves a cluster, as both of them say it; "" where the event is too old to say."""


class Act(NamedTuple):
    """Who does something, because of what, and when."""

    actor: str
    """A user's name, or a runner's (`runner:investigator`)."""
    correlation: str
    """The request id, or the position of the event, that this follows from."""
    at: str
    """UTC in `TIME_FORMAT`."""
    note: str = ""
    """Why, in the words of whoever does it."""


def shifted(at: str, seconds: float) -> str:
    """The time so many seconds after another (before it where negative), in `TIME_FORMAT`.

    It ends where the calendar does: in the years 1 and 9999.
    """
    try:
        time = datetime.fromisoformat(at) + timedelta(seconds=seconds)
    except OverflowError:
        return LAST_TIME if seconds > 0 else FIRST_TIME
    # Not strftime: it writes years before 1000 with fewer than four digits.
    return time.isoformat(timespec="microseconds")


def seconds_between(earlier: str, later: str) -> float:
    """The seconds between two times in `TIME_FORMAT`."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


TOPICS: "dict[str, type[Event]]" = {}
"""Every event class by its topic."""


@dataclass(frozen=True)
class Event:
    """One change of one aggregate. Two events are equal when they say the same."""

    TOPIC: ClassVar[str] = ""
    class_version: ClassVar[int] = 1
    """Of the fields. A class that is at 2 has a static method `upcast_v1_v2(content)`."""

    originator_id: str = field(default="", kw_only=True, compare=False, repr=False)
    originator_version: int = field(default=0, kw_only=True, compare=False, repr=False)
    at: str = field(default="", kw_only=True, compare=False, repr=False)
    actor: str = field(default="", kw_only=True, compare=False, repr=False)
    correlation: str = field(default="", kw_only=True, compare=False, repr=False)
    note: str = field(default="", init=False, compare=False, repr=False)
    """Kept only where there is one: most events have none."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__dict__.get("TOPIC"):
            raise TypeError(f"{cls.__qualname__} needs a TOPIC of its own")
        register_topic(cls.TOPIC, cls)
        TOPICS[cls.TOPIC] = cls

    def must_be_understood(self) -> None:
        """Raise where this version can read the event, but not act by it: a newer one wrote it."""

    def stamp(self, originator_id: str, version: int, act: Act) -> None:
        """Say of which aggregate this is, and by whose act: once, when it is emitted.

        Events are frozen for everybody else; a copy made by `dataclasses.replace` would cost
        a command several times as much.
        """
        state = self.__dict__
        state["originator_id"] = originator_id
        state["originator_version"] = version
        state["at"] = act.at
        state["actor"] = act.actor
        state["correlation"] = act.correlation
        if act.note:
            state["note"] = act.note


class Recorded(NamedTuple):
    """An event with its place in the log."""

    position: int
    recorded_at: str
    """When it was appended, in `TIME_FORMAT`; never decreases from one position to the next."""
    event: Event
