"""Commands about users, tokens and sessions: what belongs to a user changes with the user.

Hashes and digests are written beside the log, in the transaction of the events about them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from domain.aggregates.accounts.session import Reason as EndReason
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.refusal import conflict
from domain.roles import Standing

EXPIRED_AT_ONCE_MAX = 100
"""So many sessions that have expired are said to have ended when somebody logs in."""
LAST_ADMIN = (
    "{name} is the last administrator who has a password: nobody could administer any more. Make"
    " another one first."
)


class Register(Protocol):
    """Hashes beside the log, and who else there is, in the transaction of a command."""

    def keep(self, unit: Unit, subject: str, hashed: bytes) -> None:
        """Keep a hash for a subject; the one before is unreadable for good."""
        ...

    def destroy(self, unit: Unit, subject: str) -> None:
        """Make the subject's hash unreadable for good."""
        ...

    def has_other_admin(self, tx: Transaction, name: str) -> bool:
        """Whether somebody else can administer, and log in with a password."""
        ...

    def has_users(self, tx: Transaction) -> bool:
        """Whether there is any user."""
        ...

    def tokens_of(self, tx: Transaction, user: str) -> Sequence[str]:
        """The names of a user's tokens."""
        ...

    def sessions_of(self, tx: Transaction, user: str) -> Sequence[str]:
        """The ids of a user's sessions."""
        ...

    def expired_sessions(
        self, tx: Transaction, now: str, idle_since: str, limit: int
    ) -> Sequence[str]:
        """The ids of sessions that have expired, or were not used since."""
        ...


class KeptUser(NamedTuple):
    """A user as a file has them; no hash where there is no password."""

    standing: Standing
    hashed: bytes


class KeptToken(NamedTuple):
    """A token as a file has it."""

    standing: Standing
    hashed: bytes
    made: str
    expires: str


def add_user(
    unit: Unit, register: Register, name: str, standing: Standing, hashed: bytes = b""
) -> None:
    """Let somebody log in, with the password of this hash or with a certificate only.

    What is left of somebody else of that name, whom a file had, is worthless first.
    """
    _end_what_belongs_to(unit, register, name)
    _add(unit, register, name, standing, hashed)


def _add(unit: Unit, register: Register, name: str, standing: Standing, hashed: bytes) -> None:
    user = unit.user(name)
    user.add(standing, has_password=bool(hashed))
    if hashed:
        register.keep(unit, user.id, hashed)


def change_user(
    unit: Unit,
    register: Register,
    name: str,
    standing: Standing | None = None,
    hashed: bytes | None = None,
    but_session: str = "",
) -> None:
    """Change a user. `None` is as it is; no hash is no password.

    With another password, sessions of the user end, but for the one that is named.
    """
    user = unit.user(name)
    was_admin = user.is_admin
    if standing is not None:
        user.change_role(standing)
    if hashed is not None:
        user.change_password(has_password=bool(hashed))
        if hashed:
            register.keep(unit, user.id, hashed)
        else:
            register.destroy(unit, user.id)
        _end_sessions(unit, register, name, "password_changed", but_session)
    if was_admin and not user.is_admin:
        _must_not_be_the_last(unit, register, name)


def remove_user(unit: Unit, register: Register, name: str) -> None:
    """Let a user log in no more; their tokens and sessions end."""
    user = unit.user(name)
    was_admin = user.is_admin
    user.remove()
    if was_admin:
        _must_not_be_the_last(unit, register, name)
    register.destroy(unit, user.id)
    _end_what_belongs_to(unit, register, name)


def add_first_admin(unit: Unit, register: Register, name: str, hashed: bytes) -> bool:
    """Let somebody administer where there is nobody at all; says whether that was so."""
    if register.has_users(unit.tx):
        return False
    add_user(unit, register, name, Standing("admin"), hashed)
    return True


def create_token(
    unit: Unit,
    register: Register,
    name: str,
    standing: Standing,
    digest: bytes,
    *,
    owner: str = "",
    expires: str = "",
) -> None:
    """Make a token of which this is the digest."""
    token = unit.token(name)
    token.create(standing, owner=owner, expires=expires)
    register.keep(unit, token.id, digest)


def revoke_token(unit: Unit, register: Register, name: str) -> None:
    """Make a token worthless."""
    token = unit.token(name)
    token.revoke()
    register.destroy(unit, token.id)


def start_session(
    unit: Unit,
    register: Register,
    name: str,
    user: str,
    digest: bytes,
    *,
    ends: str,
    idle_since: str = "",
) -> None:
    """A user has logged in; this is the digest of the cookie.

    Sessions that have expired meanwhile, or were not used since, are said to have ended.
    """
    now, limit = unit.act.at, EXPIRED_AT_ONCE_MAX
    for expired in register.expired_sessions(unit.tx, now, idle_since, limit):
        end_session(unit, register, expired, "expired")
    session = unit.session(name)
    session.start(user, ends)
    register.keep(unit, session.id, digest)


def end_session(
    unit: Unit, register: Register, name: str, reason: EndReason = "logged_out"
) -> None:
    """Make a session worthless."""
    session = unit.session(name)
    session.end(reason)
    register.destroy(unit, session.id)


def take_over(
    unit: Unit,
    register: Register,
    users: Mapping[str, KeptUser],
    tokens: Mapping[str, KeptToken],
) -> list[str]:
    """Take in what files of an older version have; gives the subjects that were known already.

    A name that the log has ever had stays as the log has it: who was removed does not come back.
    """
    known = []
    for name, kept in users.items():
        user = unit.user(name)
        if user.version:
            known.append(user.id)
        else:
            _add(unit, register, name, kept.standing, kept.hashed)
    for name, token in tokens.items():
        aggregate = unit.token(name)
        if aggregate.version:
            known.append(aggregate.id)
        else:
            aggregate.create(token.standing, owner="", expires=token.expires, made=token.made)
            register.keep(unit, aggregate.id, token.hashed)
    return known


def _end_what_belongs_to(unit: Unit, register: Register, user: str) -> None:
    for token in register.tokens_of(unit.tx, user):
        unit.token(token).revoke("user_removed")
        register.destroy(unit, unit.token(token).id)
    _end_sessions(unit, register, user, "user_removed")


def _end_sessions(
    unit: Unit, register: Register, user: str, reason: EndReason, but: str = ""
) -> None:
    for session in register.sessions_of(unit.tx, user):
        if session != but:
            end_session(unit, register, session, reason)


def _must_not_be_the_last(unit: Unit, register: Register, name: str) -> None:
    if not register.has_other_admin(unit.tx, name):
        raise conflict(LAST_ADMIN.format(name=name))
