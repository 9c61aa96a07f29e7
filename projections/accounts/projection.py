"""The accounts as the log says: users, tokens and sessions, and a mark of what changed them last.

Whoever remembers accounts compares the mark: it is another text after every change of any of them.
"""

from dataclasses import dataclass
from typing import assert_never

import orjson

from domain.aggregates.accounts import session, token, user
from domain.aggregates.accounts.session import AnySessionEvent, SessionEvent
from domain.aggregates.accounts.token import AnyTokenEvent, TokenEvent
from domain.aggregates.accounts.user import AnyUserEvent, UserEvent
from domain.event import Recorded
from domain.roles import Role
from projections.projection import Projection, tag
from projections.tables import Table, TableAccess

VERSION = 1
NAME = "accounts"
MARK = "accounts"
"""The key of the one row that has the mark."""


@dataclass(slots=True)
class UserRow:
    """A user; `clusters` is JSON of the roles in some clusters."""

    name: str
    role: str
    clusters: str
    has_password: int
    added: str


@dataclass(slots=True)
class TokenRow:
    """A token; no owner and no end are ""."""

    name: str
    role: str
    clusters: str
    owner: str
    made: str
    expires: str


@dataclass(slots=True)
class SessionRow:
    """A session that was not ended; it may have expired."""

    id: str
    user_name: str
    started: str
    ends: str


@dataclass(slots=True)
class MarkRow:
    """The last change of all."""

    what: str
    mark: str


USERS = Table(
    "users",
    UserRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            role {text} NOT NULL,
            clusters {text} NOT NULL,
            has_password BIGINT NOT NULL,
            added {text} NOT NULL
        ) {clustered}
        """,
    ),
)
TOKENS = Table(
    "tokens",
    TokenRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            role {text} NOT NULL,
            clusters {text} NOT NULL,
            owner {text} NOT NULL,
            made {text} NOT NULL,
            expires {text} NOT NULL
        ) {clustered}
        """,
    ),
)
SESSIONS = Table(
    "sessions",
    SessionRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            id {text} PRIMARY KEY,
            user_name {text} NOT NULL,
            started {text} NOT NULL,
            ends {text} NOT NULL
        ) {clustered}
        """,
        "CREATE INDEX IF NOT EXISTS {table}_by_user ON {table} (user_name)",
        "CREATE INDEX IF NOT EXISTS {table}_by_end ON {table} (ends)",
    ),
)
MARKS = Table(
    "account_marks",
    MarkRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            what {text} PRIMARY KEY,
            mark {text} NOT NULL
        ) {clustered}
        """,
    ),
)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the tables."""
    event = recorded.event
    name = event.originator_id.partition("/")[2]
    if isinstance(event, UserEvent):
        _project_user(recorded.recorded_at, name, event, tables)  # type: ignore[arg-type] # all subclasses
    elif isinstance(event, TokenEvent):
        _project_token(recorded.recorded_at, name, event, tables)  # type: ignore[arg-type] # all subclasses
    elif isinstance(event, SessionEvent):
        _project_session(recorded.recorded_at, name, event, tables)  # type: ignore[arg-type] # all subclasses
    else:
        return
    tables(MARKS).put(MarkRow(MARK, tag(recorded, VERSION)))


def _project_user(at: str, name: str, event: AnyUserEvent, tables: TableAccess) -> None:
    users = tables(USERS)
    if isinstance(event, user.Removed):
        users.delete(name)
        return
    row = users.get(name) or UserRow(name, "", "", 0, at)
    match event:
        case user.Added():
            row.role, row.clusters = event.role, _json(event.clusters)
            row.has_password = int(event.has_password)
        case user.RoleChanged():
            row.role, row.clusters = event.role, _json(event.clusters)
        case user.PasswordChanged():
            row.has_password = int(event.has_password)
        case _:
            assert_never(event)
    users.put(row)


def _project_token(at: str, name: str, event: AnyTokenEvent, tables: TableAccess) -> None:
    tokens = tables(TOKENS)
    match event:
        case token.Created():
            clusters, made = _json(event.clusters), event.made or at
            tokens.put(TokenRow(name, event.role, clusters, event.owner, made, event.expires))
        case token.Revoked():
            tokens.delete(name)
        case _:
            assert_never(event)


def _project_session(at: str, name: str, event: AnySessionEvent, tables: TableAccess) -> None:
    sessions = tables(SESSIONS)
    match event:
        case session.Started():
            sessions.put(SessionRow(name, event.user, at, event.ends))
        case session.Ended():
            sessions.delete(name)
        case _:
            assert_never(event)


def _json(clusters: dict[str, Role]) -> str:
    return orjson.dumps(clusters, option=orjson.OPT_SORT_KEYS).decode()


PROJECTION = Projection(
    NAME,
    VERSION,
    (USERS, TOKENS, SESSIONS, MARKS),
    (UserEvent, TokenEvent, SessionEvent),
    project,
)
