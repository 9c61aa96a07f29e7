"""How the service is: alive, ready, and in figures."""

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from starlette.types import Scope

from web.authentication.authentication import Authentication, LogInsBusy, Observers, Unauthenticated
from web.http.replies import INERT, NO_STORE, NOSNIFF, Header, Reply, json_body
from web.http.requests import Request
from web.routing.description import PLAIN_TEXT, Content, Description, tells
from web.schemas.records import ReadinessRecord, Text

TEXT: tuple[Header, ...] = (
    (b"content-type", b"text/plain; charset=utf-8"),
    NO_STORE,
    NOSNIFF,
    INERT,
)

FORWARDING_HEADERS = frozenset({b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip"})
"""What a proxy adds: whoever is behind it may be anywhere."""


async def healthz(request: Request) -> Reply:
    """Whether the process answers.

    The event loop turns. Whether everything else works is for `/readyz` to say.
    """
    return Reply(b"ok\n", 200, TEXT)


class Part(NamedTuple):
    """A part of the service; `kind` is stable, and "" where the part is ready."""

    name: str
    kind: str = ""
    reason: str = ""
    action: str = ""
    """What a person can do about it."""
    warns: bool = False
    """Whether it does its work all the same."""

    @property
    def ready(self) -> bool:
        """Whether it can do its work."""
        return self.warns or not self.kind


Readiness = Callable[[], Awaitable[Sequence[Part]]]
"""Asks every part; never raises, and never waits for long."""


class Exposition(NamedTuple):
    """Figures in one of the formats of Prometheus."""

    body: bytes
    content_type: str


# Strangers may look at these routes, but wrong credentials are wrong, and figures are for insiders.
DESCRIBED = {
    "readyz": Description(
        {200: Content(ReadinessRecord), 503: Content(ReadinessRecord)},
        ("forbidden", "too_many_failures"),
    ),
    "metrics": tells(
        Text, "unauthenticated", "forbidden", "too_many_failures", media_type=PLAIN_TEXT
    ),
}


class Figures(Protocol):
    """All figures of the service."""

    async def __call__(self, accept: str) -> Exposition:
        """All figures as of now, in the format that the `Accept` header wants."""
        ...


async def _no_parts() -> Sequence[Part]:
    """Where there is nothing but the API."""
    return ()


async def _no_figures(accept: str) -> Exposition:
    return Exposition(b"", "text/plain; version=0.0.4; charset=utf-8")


class Observation:
    """The handlers of `/readyz` and `/metrics`."""

    def __init__(
        self,
        authentication: Authentication,
        readiness: Readiness = _no_parts,
        figures: Figures = _no_figures,
        observers: Observers = "local",
    ) -> None:
        self._authentication = authentication
        self._readiness = readiness
        self._figures = figures
        self._observers = observers

    async def readyz(self, request: Request) -> Reply:
        """Whether every part of the service can do its work.

        503 where one cannot; strangers are told which, but not why.
        """
        told = await self._may_look(request.scope)
        parts = await self._readiness()
        ready = all(part.ready for part in parts)
        body = {
            "status": "ready" if ready else "not_ready",
            "parts": [_shown(part, told) for part in parts],
        }
        return Reply(json_body(body), 200 if ready else 503)

    async def metrics(self, request: Request) -> Reply:
        """All figures, for Prometheus. Whoever is not on this machine needs a login."""
        if not self._is_open_to(request.scope):
            await self._authentication.authenticate(request.scope, as_known=True)
        found = await self._figures(request.headers.get("accept", ""))
        kind: Header = (b"content-type", found.content_type.encode())
        return Reply(found.body, 200, (kind, NO_STORE, NOSNIFF, INERT))

    async def _may_look(self, scope: Scope) -> bool:
        """Whether whoever asks may see reasons. Wrong credentials are refused all the same.

        Credentials that cannot be checked now are as none: how the service is, is for anyone.
        """
        if self._is_open_to(scope):
            return True
        try:
            await self._authentication.authenticate(scope, as_known=True)
        except (Unauthenticated, LogInsBusy):
            return False
        return True

    def _is_open_to(self, scope: Scope) -> bool:
        if self._observers == "local":
            return _is_local(scope)
        return self._observers == "anyone"


def _shown(part: Part, told: bool) -> dict[str, str | bool]:
    shown: dict[str, str | bool] = {"name": part.name, "ready": part.ready}
    if part.kind and told:
        shown |= {"kind": part.kind, "reason": part.reason, "action": part.action}
    return shown


def _is_local(scope: Scope) -> bool:
    """From this very machine, and not through a proxy that says so."""
    if any(name in FORWARDING_HEADERS for name, _ in scope["headers"]):
        return False
    client = scope.get("client")
    try:
        return client is not None and ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False
