"""A route of the service: Starlette's, with the role that it takes and what it is described by.

Paths are matched as `RequestMiddleware` writes them, each segment percent-encoded, so that a `%2F`
in a name is no separator; the names in them are decoded here.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, get_args
from urllib.parse import unquote

from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from domain.roles import ROLES, Role
from web.authentication.authentication import Authentication, Identity
from web.authentication.sessions import refuse_forged
from web.http.problems import KINDS, Problem
from web.http.query_string import refuse_unknown
from web.http.replies import as_sent
from web.http.requests import (
    ANSWER_KEY,
    NOBODY,
    READING,
    REQUEST_KEY,
    ROUTE_KEY,
    TAKES_KEY,
    Request,
    not_allowed,
)
from web.routing.description import Description
from web.routing.where import ActsOn, where
from web.schemas.bodies import NothingElse, parse

Verb = Literal["GET", "PUT", "POST", "DELETE"]
Audience = Role | Literal["anyone", "login"]
"""Who may; `login` is whoever says in the body who they are."""
Handler = Callable[[Request], Awaitable[Response]]

API = "/api"
"""What is below this path tells nothing to strangers, not even what is there."""


class Route(StarletteRoute):
    """One row of the table: what a verb does with a path, and the least role that it takes: in the
    cluster that it acts on, or everywhere. Where the body names the cluster, the handler asks
    `Request.must_be_allowed_in`.

    `of_state`: the answer follows from the request's bytes, its sender and the state of the
    database alone, so that it may be kept (`web/known_answers.py`).

    The first sentence of the handler's docstring says what it does, also to clients.
    """

    def __init__(
        self,
        verb: Verb,
        path: str,
        audience: Audience,
        handler: Handler,
        description: Description,
        acts_on: ActsOn = "",
        *,
        of_state: bool = False,
    ) -> None:
        super().__init__(path, handler, methods=[verb])
        self.verb = verb
        self.methods_taken = {verb, "HEAD"} if verb == "GET" else {verb}
        self.audience = audience
        self.handler = handler
        self.description = description
        self.acts_on = acts_on
        self.of_state = of_state
        self._fixed_part = path.partition("{")[0]
        self._refuse_mistakes()

    def _refuse_mistakes(self) -> None:
        """Refuse a row that would leave a door open."""
        if self.verb not in get_args(Verb):
            raise ValueError(f"{self.path}: there is no verb {self.verb!r}")
        others = ("anyone", "login") if self.verb == "POST" else ("anyone",)
        if self.audience not in (*ROLES, *others):
            raise ValueError(f"{self.verb} {self.path} needs a role, not {self.audience!r}")
        if self.audience == "anyone" and self.is_api:
            raise ValueError(f"{self.verb} {self.path}: nothing under /api is for anyone")
        if not self.summary or not KINDS.keys() >= set(self.description.refuses):
            raise ValueError(f"{self.verb} {self.path} is not described")

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return (self.handler.__doc__ or "").partition("\n\n")[0].strip()

    @property
    def is_private(self) -> bool:
        """Whether it asks who is there."""
        return self.audience in ROLES

    @property
    def is_api(self) -> bool:
        """Whether it is part of the API, beside which there are pages and what monitors ask."""
        return self.path.startswith(f"{API}/")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Starlette's, but for paths that begin otherwise: those need no regular expression."""
        if not scope["path"].startswith(self._fixed_part):
            return Match.NONE, {}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for this path, whatever its verb."""
        scope[ROUTE_KEY] = self.path
        user = await log_in(scope) if self.is_private else NOBODY
        if scope["method"] not in self.methods_taken:
            raise _wrong_verb(self.path, scope["app"].routes)
        # Each name once. Invalid UTF-8 becomes U+FFFD: no name has that.
        scope["path_params"] = {key: unquote(value) for key, value in scope["path_params"].items()}
        await self.admit(scope, user)
        if scope["query_string"] and self.is_api:
            refuse_unknown(scope["query_string"], self.description.query)
        request = Request(scope, receive)
        if scope["method"] not in READING:
            refuse_forged(scope)
            # Nothing is decided before all that was announced is there, whatever the handler reads.
            body = await request.body()
            if body and self.verb == "DELETE":
                parse(body, NothingElse)  # `dry_run`, say, would be a wish that is not heard
        response = await self.handler(request)
        if self.of_state and REQUEST_KEY in scope and not scope["query_string"]:
            scope[ANSWER_KEY] = as_sent(response)
        await response(scope, receive, send)

    async def admit(self, scope: Scope, user: Identity) -> None:
        """Refuse somebody whose role is too small for this path, there and everywhere."""
        if self.audience not in ROLES:
            return
        scope[TAKES_KEY] = self.audience
        if not (user.may_act_as(self.audience) or await self._may_there(scope, user)):
            raise not_allowed(user, self.audience, everywhere=not self.acts_on)

    async def _may_there(self, scope: Scope, user: Identity) -> bool:
        """Whether somebody may do this in the cluster that it acts on, though not everywhere."""
        if self.audience not in ROLES or not (
            self.acts_on and user.may_act_somewhere(self.audience)
        ):
            return False
        if self.acts_on == "body":
            return True  # it depends
        cluster = await where(scope).cluster(self.acts_on, scope["path_params"])
        return user.may_act_in(cluster, self.audience)


async def log_in(scope: Scope) -> Identity:
    """Who sent this request. Raises what `Authentication.authenticate` raises."""
    authentication: Authentication = scope["app"].state.authentication
    # Nearly all are remembered: a question that never waits saves the others a coroutine.
    user = authentication.remembered(scope) or await authentication.authenticate(scope)
    scope["user"] = user
    return user


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """The application for all paths that are not in the table. Strangers are not told below `/api`.

    Raises `Problem`.
    """
    if scope["path"] == API or scope["path"].startswith(f"{API}/"):
        await log_in(scope)
    raise Problem("not_found", "There is nothing at this path.")


def refuse_twins(table: Sequence[Route]) -> None:
    """Refuse a table that has a verb and a path twice."""
    rows = set()
    for route in table:
        row = route.verb, re.sub(r"{\w+}", "{}", route.path)
        if row in rows:
            raise ValueError(f"{route.verb} {route.path} is in the table twice")
        rows.add(row)


def _wrong_verb(path: str, routes: Iterable[BaseRoute]) -> Problem:
    here = [route for route in routes if isinstance(route, Route) and route.path == path]
    allowed = ", ".join(sorted({method for route in here for method in route.methods_taken}))
    return Problem("verb", f"This path takes {allowed}.", headers=[(b"allow", allowed.encode())])
