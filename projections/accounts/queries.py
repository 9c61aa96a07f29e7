"""What is asked of the accounts: all of them for whoever checks credentials, and single ones."""

from typing import Any, NamedTuple

import orjson

from domain.aggregates.accounts.session import Session
from domain.aggregates.accounts.token import Token
from domain.aggregates.accounts.user import User
from domain.log.transaction import Transaction
from domain.roles import Standing, standing
from projections.accounts.projection import MARK, MARKS

USERS = f"""
    SELECT u.name, u.role, u.clusters, u.has_password, u.added, h.hash FROM users u
    LEFT JOIN account_hashes h ON h.subject = '{User.KIND}/' || u.name
"""  # noqa: S608 - a constant of ours
TOKENS = f"""
    SELECT t.name, t.role, t.clusters, t.owner, t.made, t.expires, h.hash FROM tokens t
    LEFT JOIN account_hashes h ON h.subject = '{Token.KIND}/' || t.name
"""  # noqa: S608 - a constant of ours
SESSIONS = f"""
    SELECT s.id, s.user_name, s.started, s.ends, h.hash FROM sessions s
    LEFT JOIN account_hashes h ON h.subject = '{Session.KIND}/' || s.id
"""  # noqa: S608 - a constant of ours


class KnownUser(NamedTuple):
    """A user, with the hash of the password, or nothing."""

    name: str
    standing: Standing
    added: str
    hash: bytes


class KnownToken(NamedTuple):
    """A token, with its digest."""

    name: str
    standing: Standing
    owner: str
    made: str
    expires: str
    digest: bytes


class KnownSession(NamedTuple):
    """A session, with the digest of its cookie."""

    id: str
    user: str
    started: str
    ends: str
    digest: bytes


class Everybody(NamedTuple):
    """All accounts, as of the mark."""

    mark: str
    users: tuple[KnownUser, ...]
    tokens: tuple[KnownToken, ...]
    sessions: tuple[KnownSession, ...]


NOBODY = Everybody("", (), (), ())


def mark(tx: Transaction) -> str:
    """Another text after every change of any account."""
    found = tx.execute(MARKS.select, (MARK,)).fetchone()
    return str(found[1]) if found else ""


def everybody(tx: Transaction, known: str) -> Everybody | None:
    """All accounts; None where they are still those of the mark that is known."""
    found = mark(tx)
    if found == known:
        return None
    return Everybody(
        found,
        tuple(_user(row) for row in tx.execute(f"{USERS} ORDER BY u.name").fetchall()),
        tuple(_token(row) for row in tx.execute(f"{TOKENS} ORDER BY t.name").fetchall()),
        tuple(_session(row) for row in tx.execute(f"{SESSIONS} ORDER BY s.id").fetchall()),
    )


def user(tx: Transaction, name: str) -> KnownUser | None:
    """One user."""
    found = tx.execute(f"{USERS} WHERE u.name = ?", (name,)).fetchone()
    return _user(found) if found else None


def token(tx: Transaction, name: str) -> KnownToken:
    """A token that is there."""
    return _token(tx.execute(f"{TOKENS} WHERE t.name = ?", (name,)).fetchone())


def session(tx: Transaction, name: str) -> KnownSession:
    """A session that is there."""
    return _session(tx.execute(f"{SESSIONS} WHERE s.id = ?", (name,)).fetchone())


def _user(row: tuple[Any, ...]) -> KnownUser:
    name, role, clusters, has_password, added, hashed = row
    # A log that was restored without what was beside it has users without passwords.
    kept = bytes(hashed) if has_password and hashed is not None else b""
    return KnownUser(name, standing(role, orjson.loads(clusters)), added, kept)


def _token(row: tuple[Any, ...]) -> KnownToken:
    name, role, clusters, owner, made, expires, hashed = row
    may = standing(role, orjson.loads(clusters))
    return KnownToken(name, may, owner, made, expires, bytes(hashed or b""))


def _session(row: tuple[Any, ...]) -> KnownSession:
    name, user, started, ends, hashed = row
    return KnownSession(name, user, started, ends, bytes(hashed or b""))
