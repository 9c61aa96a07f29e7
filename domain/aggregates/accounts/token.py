"""A token: what a program logs in with, and what it may do.

created → revoked. A name may be used again: its stream goes on. A token belongs to the user who
made it, is worth no more than that user is now, and ends with them. Those made on the command line
belong to nobody. Its digest is kept beside the log, and the token itself nowhere.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, assert_never

from domain.aggregate import Aggregate
from domain.event import Event
from domain.refusal import conflict, not_found
from domain.roles import Role, Standing

Reason = Literal["revoked", "user_removed"]


class TokenEvent(Event):
    """Something that happened to a token."""

    TOPIC = "token"


@dataclass(frozen=True)
class Created(TokenEvent):
    """Somebody made a token; it was shown this once."""

    TOPIC: ClassVar[str] = "token.created"
    role: Role
    clusters: dict[str, Role]
    """Roles beyond that one, by cluster."""
    owner: str
    """The user whom it belongs to; "" is nobody."""
    expires: str
    """When it ends; "" is never."""
    made: str
    """When it was made, where it is older than the log of tokens; "" where it is not."""


@dataclass(frozen=True)
class Revoked(TokenEvent):
    """The token is worthless; its digest is destroyed."""

    TOPIC: ClassVar[str] = "token.revoked"
    reason: Reason


AnyTokenEvent = Created | Revoked


class Token(Aggregate[AnyTokenEvent]):
    """What a program logs in with."""

    KIND = "token"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.exists = False
        self.owner = ""
        self.owners: set[str] = set()
        """All to whom tokens of this name ever belonged: what one did stays done by its owner."""

    def must_exist(self) -> None:
        """Refuse what is asked of one that is not."""
        if not self.exists:
            raise not_found(f"There is no token {self.name}.")

    # Commands

    def create(self, may: Standing, *, owner: str, expires: str, made: str = "") -> None:
        """Make it, for a program that may do this."""
        if self.exists:
            raise conflict(f"There is a token {self.name} already: revoke it first.")
        self.emit(Created(may.role, dict(may.clusters), owner, expires, made))

    def revoke(self, reason: Reason = "revoked") -> None:
        """Make it worthless."""
        self.must_exist()
        self.emit(Revoked(reason))

    # State

    def apply(self, event: AnyTokenEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Created():
                self.exists, self.owner = True, event.owner
                self.owners.add(event.owner)
            case Revoked():
                self.exists = False
            case _:
                assert_never(event)
