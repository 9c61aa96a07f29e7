"""A window says when operations may start hosts: it opens again and again, for a while.

defined → removed, and never while something uses it. Who defines it again changes it, for
operations that wait for it, too. It opens whenever its cron fires, for so many seconds, as they
pass: in the night in which clocks are put back, a clock on the wall shows an hour less at its end.
Where it would open again before its end, it stays open. It does not open on dates that are
excepted; what opened the evening before stays open to its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Literal, NamedTuple, assert_never

from domain.aggregate import Aggregate
from domain.aggregates.planning.firings import (
    checked_cron,
    checked_zone,
    end_of_date,
    firings,
    local_date,
)
from domain.event import Event, shifted
from domain.names import quoted, some
from domain.refusal import conflict, invalid, not_found

State = Literal["", "defined"]

NEXT: dict[State, frozenset[State]] = {
    "": frozenset({"defined"}),
    "defined": frozenset({"", "defined"}),
}
"""The life cycle: which state follows which. "" is a window that does not exist."""

DURATION_S_MIN = 60
DURATION_S_MAX = 7 * 24 * 3600
DATES_MAX = 1000
FIRINGS_MAX = 1500
"""So many, and dates that are excepted, are looked at for one answer: where it opens each minute,
the end that is told is an earlier one."""


class WindowEvent(Event):
    """Something that happened to a window."""

    TOPIC = "window"


@dataclass(frozen=True)
class Defined(WindowEvent):
    """The window is like this from now on: it may have been otherwise, or not there.

    `starts`: a cron expression, by the clocks of `zone`. `except_dates`: on which it does not open.
    """

    TOPIC: ClassVar[str] = "window.defined"
    zone: str
    starts: str
    duration_s: int
    except_dates: list[str]


@dataclass(frozen=True)
class TakenUp(WindowEvent):
    """An operation (`operation/…`) or a schedule (`schedule/…`) keeps to it from now on."""

    TOPIC: ClassVar[str] = "window.taken_up"
    by: str


@dataclass(frozen=True)
class Released(WindowEvent):
    """It is over, was removed, or keeps to it no more."""

    TOPIC: ClassVar[str] = "window.released"
    by: str


@dataclass(frozen=True)
class Removed(WindowEvent):
    """The window is gone; nothing used it any more."""

    TOPIC: ClassVar[str] = "window.removed"


AnyWindowEvent = Defined | TakenUp | Released | Removed


class Opening(NamedTuple):
    """Whether it is open at a time; until when at least; and when it opens next after that."""

    is_open: bool
    until: str | None
    next: str | None


@dataclass(frozen=True)
class Hours:
    """When a window is open; `checked_hours` makes one that makes sense."""

    zone: str
    starts: str
    duration_s: int
    except_dates: tuple[str, ...] = ()

    def opening(self, at: str) -> Opening:
        """Whether it is open then, and what follows."""
        until = ""
        for begin in self._begins(shifted(at, -self.duration_s)):
            if begin > max(until, at):
                return Opening(until > at, until if until > at else None, begin)
            until = shifted(begin, self.duration_s)
        return Opening(until > at, until if until > at else None, None)

    def _begins(self, after: str) -> Iterator[str]:
        excepted = frozenset(self.except_dates)
        found = firings(self.starts, self.zone, after)
        for _ in range(FIRINGS_MAX):
            begin = next(found, None)
            if begin is None:
                return
            if excepted and local_date(begin, self.zone) in excepted:
                found = firings(self.starts, self.zone, end_of_date(begin, self.zone))
            else:
                yield begin


def checked_hours(zone: str, starts: str, duration_s: int, except_dates: Sequence[str]) -> Hours:
    """The hours of a window, or a refusal that names what is wrong."""
    if not DURATION_S_MIN <= duration_s <= DURATION_S_MAX:
        raise invalid(
            f"duration_s must be a number of seconds from {DURATION_S_MIN} to {DURATION_S_MAX}.",
            "duration_s",
        )
    if len(except_dates) > DATES_MAX:
        raise invalid(f"except may have {DATES_MAX} dates at most.", "except")
    for day in except_dates:
        _must_be_a_date(day)
    days = tuple(sorted(set(except_dates)))
    return Hours(checked_zone(zone), checked_cron(starts, "starts"), duration_s, days)


def _must_be_a_date(text: str) -> None:
    try:
        is_one = text.isascii() and date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_one = False
    if not is_one:
        raise invalid(f"except must be dates such as 2026-12-24: {quoted(text)} is none.", "except")


class Window(Aggregate[AnyWindowEvent]):
    """A named window."""

    KIND = "window"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._forget()

    def _forget(self) -> None:
        self.state: State = ""
        self.hours = Hours("UTC", "", 0)
        self.users: dict[str, None] = {}
        self._known: Opening | None = None
        self._known_at = ""

    @property
    def exists(self) -> bool:
        """Whether it was defined, and not removed since."""
        return self.state != ""

    def opening(self, at: str) -> Opening:
        """Whether it is open then; remembered until that changes."""
        known = self._known
        if known is None or not self._known_at <= at < (known.until or known.next or ""):
            known = self._known = self.hours.opening(at)
            self._known_at = at
        return known

    # Commands

    def define(self, hours: Hours) -> None:
        """Let it be like this; the same again is no event."""
        if not self.exists or hours != self.hours:
            dates = list(hours.except_dates)
            self.emit(Defined(hours.zone, hours.starts, hours.duration_s, dates))

    def take_up(self, by: str, key: str) -> None:
        """Record that something keeps to it; refused, by the key that names it, without one."""
        if not self.exists:
            raise conflict(f"There is no window {self.name}: define it first.", key)
        if by not in self.users:
            self.emit(TakenUp(by))

    def release(self, by: str) -> None:
        """Record that something keeps to it no more."""
        if by in self.users:
            self.emit(Released(by))

    def remove(self) -> None:
        """Remove the window, unless something keeps to it."""
        if not self.exists:
            raise not_found(f"There is no window {self.name}: define it with PUT first.")
        if self.users:
            users = some([user.replace("/", " ") for user in self.users])
            raise conflict(f"Window {self.name} is used by: {users}.")
        self.emit(Removed())

    # State

    def apply(self, event: AnyWindowEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Defined():
                self._become("defined")
                self._known = None
                self.hours = Hours(
                    event.zone, event.starts, event.duration_s, tuple(event.except_dates)
                )
            case TakenUp():
                self.users[event.by] = None
            case Released():
                del self.users[event.by]
            case Removed():
                self._become("")
                self._forget()
            case _:
                assert_never(event)

    def _become(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise ValueError(f"{self.id} cannot go from {self.state!r} to {state!r}")
        self.state = state
