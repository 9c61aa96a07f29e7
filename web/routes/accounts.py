"""The rows of the table of routes that are about users, tokens and sessions."""

from web.resources.accounts.sessions import Sessions
from web.resources.accounts.tokens import Tokens
from web.resources.accounts.users import Users
from web.routing.description import Content, Description, changes, makes, reads, removes, tells
from web.routing.route import Route
from web.schemas.account_bodies import LogInBody, PasswordBody, TokenBody, UserBody
from web.schemas.account_records import (
    MeRecord,
    NewSessionRecord,
    NewTokenRecord,
    SessionRecord,
    TokenRecord,
    UserRecord,
)

V0 = "/api/v0"
USER = f"{V0}/user/{{user}}"
TOKEN = f"{V0}/token/{{token}}"
SESSION = f"{V0}/session/{{session}}"
GONE, CLASH, BUSY = "not_found", "conflict", "too_many_failures"

LOGS_IN = Description(
    {
        201: Content(
            NewSessionRecord,
            headers={"Set-Cookie": "The cookie of the session."},
            done="It was opened: the browser has its cookie.",
        )
    },
    ("forbidden", BUSY),
    LogInBody,
)


def account_routes(users: Users, tokens: Tokens, sessions: Sessions) -> list[Route]:
    """Who may do what, and their log-ins."""
    password = changes(UserRecord, GONE, CLASH, body=PasswordBody)
    return [
        Route("GET", f"{V0}/me", "viewer", users.me, tells(MeRecord)),
        Route("GET", f"{V0}/users", "admin", users.index, reads(list[UserRecord])),
        Route("GET", USER, "admin", users.show, reads(UserRecord, GONE)),
        Route("PUT", USER, "admin", users.put, makes(UserRecord, UserBody)),
        Route("DELETE", USER, "admin", users.remove, removes(GONE, CLASH)),
        Route("PUT", f"{USER}/password", "viewer", users.change_password, password),
        Route("GET", f"{V0}/tokens", "viewer", tokens.index, reads(list[TokenRecord])),
        Route("GET", TOKEN, "viewer", tokens.show, reads(TokenRecord, GONE)),
        Route("PUT", TOKEN, "viewer", tokens.create, makes(NewTokenRecord, TokenBody)),
        Route("DELETE", TOKEN, "viewer", tokens.revoke, removes(GONE, CLASH)),
        Route("GET", f"{V0}/sessions", "viewer", sessions.index, reads(list[SessionRecord])),
        Route("POST", f"{V0}/sessions", "login", sessions.start, LOGS_IN),
        Route("GET", SESSION, "viewer", sessions.show, reads(SessionRecord, GONE)),
        Route("DELETE", SESSION, "viewer", sessions.end, removes(GONE)),
    ]
