"""A request as handlers see it: Starlette's, with who asks, and limits on its body."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import count
from secrets import token_hex
from typing import Any, NamedTuple, TypeVar

from starlette.datastructures import State
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.types import Scope

from domain.event import Act
from domain.roles import Role
from web.authentication.authentication import Authentication, Forbidden, Identity
from web.authentication.tokens import without_tokens
from web.http.clients import Client
from web.http.problems import Problem

MEBIBYTE = 1024 * 1024

# A token that was put into the wrong header must not get into the log of events, where it stays.
REQUEST_ID = re.compile(rb"(?!cmsr_)[A-Za-z0-9._-]{1,64}")

NOBODY = Identity("", "viewer")
READING = ("GET", "HEAD")
"""The methods that change nothing: the body of such a request is not waited for."""

RENEW_EVERY_S = 1.0
"""How often a long request checks whether its sender may still log in."""

NOTE_CHARACTERS_MAX = 200

ID_KEY = "commissaire.request_id"
ORIGIN_KEY = "commissaire.origin"
ROUTE_KEY = "commissaire.route"
POSITION_KEY = "commissaire.position"
TAKES_KEY = "commissaire.takes"
SHOW_KEY = "commissaire.show"
REQUEST_KEY = "commissaire.request"
ANSWER_KEY = "commissaire.answer"
RESTS_KEY = "commissaire.rests"
"""Where the ASGI scope has the name of a request, its `Client`, the path of its route, the
position of the log that the answer is as of, the role that the route takes, and what shows a
problem as a page (`show(request, problem)`), where a page was asked for; the bytes of a request
that its answer may be kept for, the answer, and what it rests on (`web/known_answers.py`)."""

T = TypeVar("T")


class Limits(NamedTuple):
    """How much a client may send, and how slowly."""

    body_bytes_max: int = MEBIBYTE
    body_timeout_s: float = 30.0


class RestsOn(NamedTuple):
    """The one question of the database whose answer a whole reply follows from."""

    query: Callable[..., Any]
    args: tuple[Any, ...]
    found: Any


class RequestState(State):
    """What the application keeps for its requests (`app.state`)."""

    authentication: Authentication
    limits: Limits
    now: Callable[[], str]
    aside: Executor


class Request(StarletteRequest):
    """One request. `app.state` is a `RequestState`."""

    @property
    def id(self) -> str:
        """Its name in the log."""
        return str(self.scope[ID_KEY])

    @property
    def origin(self) -> Client:
        """Where it comes from."""
        origin: Client = self.scope[ORIGIN_KEY]
        return origin

    @property
    def identity(self) -> Identity:
        """Who sent it; nobody where that was not asked."""
        identity: Identity = self.scope.get("user", NOBODY)
        return identity

    @property
    def _shared(self) -> RequestState:
        state: RequestState = self.scope["app"].state
        return state

    # Any: what a query takes and finds.
    def rests_on(self, query: Callable[..., Any], *args: Any, found: Any) -> None:
        """Say that the reply follows from what this query found, and from nothing else that may
        change: then it stands after any commit that leaves this as it is."""
        if REQUEST_KEY in self.scope:
            self.scope[RESTS_KEY] = RestsOn(query, args, found)

    def must_be_allowed_in(self, cluster: str | None) -> None:
        """Refuse whoever has not the role that the route takes in this cluster; none is outside.

        For handlers of routes that act on the cluster of their body.
        """
        takes: Role = self.scope[TAKES_KEY]
        if not self.identity.may_act_in(cluster or "", takes):
            raise not_allowed(self.identity, takes)

    def act(self) -> Act:
        """What the log says of a change that this request makes."""
        return Act(self.identity.user, self.id, self.now(), self._note())

    def now(self) -> str:
        """The time, as events have it."""
        return self._shared.now()

    def _note(self) -> str:
        """`Commissaire-Note`: why. Refuses what is no line of text, or too long."""
        values = [value for name, value in self.scope["headers"] if name == b"commissaire-note"]
        try:
            note = b", ".join(values).decode().strip()
        except UnicodeDecodeError:
            note = "\0"
        if len(note) > NOTE_CHARACTERS_MAX or not note.isprintable():
            raise Problem(
                "invalid",
                f"Commissaire-Note must be one line of up to {NOTE_CHARACTERS_MAX} characters in"
                " UTF-8.",
            )
        return without_tokens(note.encode()).decode()

    async def aside(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that takes long, in the one thread that all requests share for that.

        Several threads would not be faster, and would keep the event loop waiting for the
        interpreter.
        """
        return await asyncio.get_running_loop().run_in_executor(self._shared.aside, function, *args)

    async def is_admitted(self) -> bool:
        """Whether whoever asks would be let in again, and as who they were."""
        return await self._shared.authentication.renew(self.scope) == self.identity

    async def body(self) -> bytes:
        """The whole body, read once.

        Raises `Problem` where it is too large, comes too slowly, or is not all of it, and
        `Forbidden` where whoever sends it has lost their credentials meanwhile.
        """
        if hasattr(self, "_body"):
            return self._body
        limits = self._shared.limits
        declared = self._declared_bytes()
        if declared is not None and declared > limits.body_bytes_max:
            raise self._too_large()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(limits.body_timeout_s):
                whole = await self._read()
        except TimeoutError:
            raise Problem(
                "timeout",
                f"The body did not come within {limits.body_timeout_s:g} seconds.",
            ) from None
        if declared is not None and len(whole) != declared:
            raise Problem(
                "invalid", f"The body has {len(whole)} bytes where {declared} were announced."
            )
        if loop.time() - begun >= RENEW_EVERY_S and not await self.is_admitted():
            raise Forbidden("These credentials ended while the body was on its way.")
        self._body = whole
        return whole

    async def _read(self) -> bytes:
        body = bytearray()
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._shared.limits.body_bytes_max:
                raise self._too_large()
            more = message.get("more_body", False)
        return bytes(body)

    def _declared_bytes(self) -> int | None:
        for name, value in self.scope["headers"]:
            if name == b"content-length":
                return int(value)
        return None

    def _too_large(self) -> Problem:
        most = self._shared.limits.body_bytes_max
        return Problem("body_size", f"A body may have {most} bytes at most.")


def not_allowed(who: Identity, takes: Role, *, everywhere: bool = False) -> Problem:
    """The refusal of somebody whose role is too small; `everywhere`: in no cluster it is enough."""
    theirs = "".join(f", and '{role}' in cluster {name}" for name, role in who.clusters)
    where = " everywhere" if everywhere and theirs else ""
    return Problem(
        "forbidden",
        f"This takes the role '{takes}'{where}; {who.user} has the role '{who.role}'{theirs}.",
    )


class RequestIds:
    """Names for requests: the client's own where it is sane, else one that comes only once."""

    def __init__(self) -> None:
        self._prefix = token_hex(6)
        self._count = count(1)

    def of(self, scope: Scope) -> str:
        """The `X-Request-ID` of a request."""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                return str(value, "ascii")
        return self.next()

    def next(self) -> str:
        """A name that comes only once."""
        return f"{self._prefix}-{next(self._count):x}"
