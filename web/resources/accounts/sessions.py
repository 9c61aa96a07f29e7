"""`/sessions` and `/session/{session}`: browsers log in and out."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.commands import account_commands
from domain.event import TIME_FORMAT, Act
from domain.names import quoted
from domain.refusal import not_found
from domain.timed_id import timed_id
from projections.accounts import queries
from projections.accounts.queries import KnownSession
from web.authentication.authentication import Forbidden, Identity
from web.authentication.sessions import (
    IDLE_S,
    SESSION_S,
    csrf_token,
    digest,
    has_right_origin,
    new_secret,
    session_of,
    set_cookie,
)
from web.http.replies import UNSTORED, Reply, deleted, digested, json_body
from web.http.requests import Request
from web.resources.accounts.account_book import AccountBook
from web.schemas import bodies
from web.schemas.account_bodies import LogInBody
from web.schemas.path_names import known_account

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Sessions:
    """The handlers of `/sessions` and `/session/…`."""

    def __init__(self, book: AccountBook) -> None:
        self._book = book

    async def start(self, request: Request) -> Reply:
        """Log in with a user and a password, and be given a cookie."""
        scope = request.scope
        if not has_right_origin(scope, must=False):
            raise Forbidden("Whoever logs in must do so from a page of this service (Origin).")
        body = await bodies.read(request, LogInBody)
        scope["user"] = who = await self._book.check_password(scope, body.user, body.password)
        secret, name, act = new_secret(), timed_id(), request.act()
        kept = digest(secret.encode()) + self._book.accounts.password_mark(who.user)
        ends, idle_since = _moved(act, SESSION_S), _moved(act, -IDLE_S)
        register = self._book.register
        found = await self._book.writer.perform(
            act,
            lambda unit: account_commands.start_session(
                unit, register, name, who.user, kept, ends=ends, idle_since=idle_since
            ),
            lambda tx, _: queries.session(tx, name),
        )
        record = _record(found, found.id) | {"csrf_token": csrf_token(secret.encode())}
        cookie = set_cookie(scope, secret, SESSION_S)
        return Reply(json_body(record), 201, (*UNSTORED, cookie))

    async def index(self, request: Request) -> Reply:
        """One's own sessions; for administrators all."""
        who, current = request.identity, _current(request)
        known = self._book.accounts.known.sessions
        records = [_record(each, current) for each in known if self._is_shown(each, who)]
        return digested(request, json_body(records))

    async def show(self, request: Request) -> Reply:
        """One session."""
        found = self._known(request)
        return digested(request, json_body(_record(found, _current(request))))

    async def end(self, request: Request) -> Reply:
        """End a session: log out, or have somebody logged out."""
        found, register = self._known(request), self._book.register
        await self._book.writer.perform(
            request.act(), lambda unit: account_commands.end_session(unit, register, found.id)
        )
        reply = deleted()
        if found.id == _current(request):
            reply.raw_headers.append(set_cookie(request.scope, "", 0))
        return reply

    def _known(self, request: Request) -> KnownSession:
        name = known_account(request, "session")
        for session in self._book.accounts.known.sessions:
            if session.id == name and self._is_shown(session, request.identity):
                return session
        raise not_found(f"There is no session {quoted(name)}, or it is somebody else's.")

    def _is_shown(self, session: KnownSession, who: Identity) -> bool:
        """Whether it has not expired, and is theirs or they administer."""
        return session.ends > self._book.now() and (who.role == "admin" or session.user == who.user)


def _current(request: Request) -> str:
    session = session_of(request.scope)
    return session.id if session is not None else ""


def _moved(act: Act, seconds: float) -> str:
    at = datetime.strptime(act.at, TIME_FORMAT).replace(tzinfo=UTC)
    return (at + timedelta(seconds=seconds)).strftime(TIME_FORMAT)


def _record(session: KnownSession, current: str) -> Record:
    return {
        "id": session.id,
        "user": session.user,
        "started": session.started,
        "ends": session.ends,
        "current": session.id == current,
    }
