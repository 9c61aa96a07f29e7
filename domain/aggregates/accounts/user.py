"""A user: somebody who may log in, and what they may do.

added → removed. A name that was removed may be added again: its stream goes on. The hash of the
password is kept beside the log, and is in no event. A user without a password comes with a client
certificate.
"""

from dataclasses import dataclass
from typing import ClassVar, assert_never

from domain.aggregate import Aggregate
from domain.event import Event
from domain.refusal import conflict, not_found
from domain.roles import Role, Standing, standing


class UserEvent(Event):
    """Something that happened to a user."""

    TOPIC = "user"


@dataclass(frozen=True)
class Added(UserEvent):
    """The user may log in from now on."""

    TOPIC: ClassVar[str] = "user.added"
    role: Role
    clusters: dict[str, Role]
    """Roles beyond that one, by cluster."""
    has_password: bool


@dataclass(frozen=True)
class RoleChanged(UserEvent):
    """The user may do other things than before."""

    TOPIC: ClassVar[str] = "user.role_changed"
    role: Role
    clusters: dict[str, Role]


@dataclass(frozen=True)
class PasswordChanged(UserEvent):
    """The user has another password, or none any more."""

    TOPIC: ClassVar[str] = "user.password_changed"
    has_password: bool


@dataclass(frozen=True)
class Removed(UserEvent):
    """The user may not log in any more; the hash of the password is destroyed."""

    TOPIC: ClassVar[str] = "user.removed"


AnyUserEvent = Added | RoleChanged | PasswordChanged | Removed


class User(Aggregate[AnyUserEvent]):
    """Somebody who may log in."""

    KIND = "user"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.exists = False
        self.standing = Standing("viewer")
        self.has_password = False

    @property
    def is_admin(self) -> bool:
        """Whether this user can administer, and log in with a password."""
        return self.exists and self.standing.role == "admin" and self.has_password

    def must_exist(self) -> None:
        """Refuse what is asked of somebody who is none."""
        if not self.exists:
            raise not_found(f"There is no user {self.name}.")

    # Commands

    def add(self, wanted: Standing, *, has_password: bool) -> None:
        """Let somebody log in from now on."""
        if self.exists:
            raise conflict(f"There is a user {self.name} already.")
        self.emit(Added(wanted.role, dict(wanted.clusters), has_password))

    def change_role(self, wanted: Standing) -> None:
        """Let the user do this, and nothing more. The same again is no news."""
        self.must_exist()
        if wanted != self.standing:
            self.emit(RoleChanged(wanted.role, dict(wanted.clusters)))

    def change_password(self, *, has_password: bool) -> None:
        """There is another password, or none any more."""
        self.must_exist()
        if has_password or self.has_password:
            self.emit(PasswordChanged(has_password))

    def remove(self) -> None:
        """Let the user log in no more."""
        self.must_exist()
        self.emit(Removed())

    # State

    def apply(self, event: AnyUserEvent) -> None:
        """Fold one event into the state."""
        match event:
            case Added():
                self.exists, self.has_password = True, event.has_password
                self.standing = standing(event.role, event.clusters)
            case RoleChanged():
                self.standing = standing(event.role, event.clusters)
            case PasswordChanged():
                self.has_password = event.has_password
            case Removed():
                self.exists = self.has_password = False
            case _:
                assert_never(event)
