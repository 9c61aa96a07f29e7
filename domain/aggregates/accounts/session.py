"""A session: a user who logged in with a password, in a browser.

started → ended. It ends by itself at a time that is said when it starts, or when nobody has used
it for a while: then it is worthless, and is said to have ended when somebody next logs in. The
digest of its cookie is kept beside the log, and the cookie itself nowhere.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, assert_never

from domain.aggregate import Aggregate
from domain.event import Event
from domain.refusal import not_found

Reason = Literal["logged_out", "password_changed", "user_removed", "expired"]


class SessionEvent(Event):
    """Something that happened to a session."""

    TOPIC = "session"


@dataclass(frozen=True)
class Started(SessionEvent):
    """A user logged in."""

    TOPIC: ClassVar[str] = "session.started"
    user: str
    ends: str
    """When it ends at the latest."""


@dataclass(frozen=True)
class Ended(SessionEvent):
    """The session is worthless; the digest of its cookie is destroyed."""

    TOPIC: ClassVar[str] = "session.ended"
    user: str
    reason: Reason


AnySessionEvent = Started | Ended


class Session(Aggregate[AnySessionEvent]):
    """A user who logged in."""

    KIND = "session"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.is_open = False
        self.user = ""

    # Commands

    def start(self, user: str, ends: str) -> None:
        """The user has logged in."""
        self.emit(Started(user, ends))

    def end(self, reason: Reason = "logged_out") -> None:
        """Make it worthless."""
        if not self.is_open:
            raise not_found(f"There is no session {self.name}.")
        self.emit(Ended(self.user, reason))

    # State

    def apply(self, event: AnySessionEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Started():
                self.is_open, self.user = True, event.user
            case Ended():
                self.is_open = False
            case _:
                assert_never(event)
