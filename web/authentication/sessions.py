"""Sessions of browsers: a cookie instead of a password with every request.

A browser sends the cookie by itself, also where another page makes it: so a change that comes with
the cookie alone needs a token that only pages of this service can read, and the right Origin.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from hashlib import blake2b, sha256
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from web.authentication.authentication import Forbidden, Identity, Scope, authorization

SESSION_S = 12 * 3600
"""How long a session lasts at most."""
IDLE_S = 3600
"""How long without a request."""
COOKIE = b"commissaire"
SECURE_COOKIE = b"__Host-commissaire"
"""Over TLS: a browser takes it from this very host only, and sends it to no other."""
SECRET_BYTES = 32
CSRF_BYTES = 24
CSRF_HEADER = b"x-csrf-token"
BY_ITSELF_HEADER = b"commissaire-by-itself"
"""What a page that is open asks for without anybody: no use of the session, as a stream is none."""
EVENT_STREAM = b"text/event-stream"
SESSION_KEY = "commissaire.session"
"""Where the scope of a request has the session that let it in."""


class OpenSession(NamedTuple):
    """A session that has not ended."""

    id: str
    identity: Identity
    ends_at: float
    """Seconds since the epoch."""
    csrf_token: str = ""


class SessionEnded(Forbidden):
    """The cookie is of a session that is no more: 403, with a type of its own."""

    def __init__(self) -> None:
        super().__init__("The session has ended: log in again.")


class Sessions(Protocol):
    """Whoever knows the sessions."""

    def find_session(self, digest: bytes) -> OpenSession | None:
        """The session whose cookie has this digest; asked on every request with one."""
        ...


class Uses(Protocol):
    """Whoever knows when a session was used last, in whatever process."""

    def known(self, session: str) -> float:
        """As far as that is known here, in seconds since the epoch; -infinity where it is not."""
        ...

    async def last(self, session: str) -> float:
        """As every process knows it."""
        ...

    def note(self, session: str, at: float) -> None:
        """It is used now."""
        ...


class SessionAuthentication:
    """The cookie of a session, for requests that bring no `Authorization`."""

    challenge = None

    def __init__(
        self, sessions: Sessions, uses: Uses, clock: Callable[[], float] = time.time
    ) -> None:
        self._sessions = sessions
        self._uses = uses
        self._clock = clock

    def remembered(self, scope: Scope) -> Identity | None:
        """Who is asking, where the session was used a while ago at most."""
        found = self._found(scope)
        if found is None or self._clock() - self._uses.known(found.id) >= IDLE_S:
            return None
        return self._admit(scope, found)

    async def identify(self, scope: Scope) -> Identity | None:
        """Who is asking. Raises SessionEnded for the cookie of a session that is no more."""
        if _cookie(scope) is None:
            return None
        found = self._found(scope)
        if found is None or self._clock() - await self._uses.last(found.id) >= IDLE_S:
            raise SessionEnded
        return self._admit(scope, found)

    async def renew(self, scope: Scope) -> Identity | None:
        """None where the session has ended. Whoever only listens does not use it."""
        found = self._found(scope)
        if found is None:
            return None
        idle_since = self._clock() - IDLE_S
        if self._uses.known(found.id) <= idle_since >= await self._uses.last(found.id):
            return None
        return found.identity

    def _found(self, scope: Scope) -> OpenSession | None:
        secret = _cookie(scope)
        found = self._sessions.find_session(digest(secret)) if secret is not None else None
        if secret is None or found is None or self._clock() >= found.ends_at:
            return None
        return found._replace(csrf_token=csrf_token(secret))

    def _admit(self, scope: Scope, session: OpenSession) -> Identity:
        scope[SESSION_KEY] = session
        if not _is_by_itself(scope):
            self._uses.note(session.id, self._clock())
        return session.identity


def session_of(scope: Scope) -> OpenSession | None:
    """The session that let this request in; None where something else did."""
    found: OpenSession | None = scope.get(SESSION_KEY)
    return found


def refuse_forged(scope: Scope) -> None:
    """Refuse a change with a cookie that a page of somebody else may have sent."""
    if session_of(scope) is not None:
        refuse_forged_form(scope, _header(scope, CSRF_HEADER) or b"")


def refuse_forged_form(scope: Scope, given: bytes) -> None:
    """Refuse a form that a page of somebody else may have sent, whatever credentials came with it.

    A browser sends a password that it was told once by itself too, so every form has its Origin;
    `given` is the token in it, which has to be that of the session, where there is one.
    """
    if not has_right_origin(scope, must=True):
        raise Forbidden("A change with a session must come from a page of this service (Origin).")
    session = session_of(scope)
    if session is None:
        return
    if not hmac.compare_digest(given, session.csrf_token.encode()):
        raise Forbidden("A change with a session needs its X-CSRF-Token, which /me tells.")


def has_right_origin(scope: Scope, *, must: bool) -> bool:
    """Whether `Origin` is this service, as the client calls it; `must`: it has to be there."""
    origin, host = _header(scope, b"origin"), _header(scope, b"host")
    if origin is None:
        return not must
    try:
        parts = urlsplit(origin.decode("ascii").lower())
    except ValueError:
        return False
    schemes = ("https",) if is_secure(scope) else ("https", "http")
    return parts.scheme in schemes and parts.netloc == (host or b"").decode("latin-1").lower()


def is_secure(scope: Scope) -> bool:
    """Whether the browser speaks TLS: with us, or with a proxy that says so.

    Anybody may say so, and only has a cookie that is kept more strictly.
    """
    return scope.get("scheme") == "https" or _header(scope, b"x-forwarded-proto") == b"https"


def new_secret() -> str:
    """What a cookie has."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: bytes) -> bytes:
    """What is kept of a cookie."""
    return sha256(secret).digest()


def csrf_token(secret: bytes) -> str:
    """What pages of this service know of a cookie, and others cannot guess."""
    return blake2b(secret, digest_size=CSRF_BYTES, person=b"csrf").hexdigest()


def set_cookie(scope: Scope, secret: str, seconds: int) -> tuple[bytes, bytes]:
    """The header that has a browser keep the cookie, or with 0 seconds forget it."""
    secure = is_secure(scope)
    name = SECURE_COOKIE if secure else COOKIE
    rest = f"; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return b"set-cookie", name + b"=" + secret.encode() + rest.encode()


def _cookie(scope: Scope) -> bytes | None:
    """The secret in the cookie; None where there is none, or `Authorization` comes with it."""
    if authorization(scope) is not None:
        return None
    name = SECURE_COOKIE if is_secure(scope) else COOKIE
    for header, value in scope["headers"]:
        if header == b"cookie":
            for pair in value.split(b";"):
                key, _, secret = pair.strip().partition(b"=")
                if key == name and secret:
                    return bytes(secret)
    return None


def _is_by_itself(scope: Scope) -> bool:
    """Whether a page asks that nobody looks at, perhaps: browsers open streams again and again."""
    return any(
        name == BY_ITSELF_HEADER or (name == b"accept" and EVENT_STREAM in value)
        for name, value in scope["headers"]
    )


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    """The one header of this name; nothing that is right where there are several."""
    values = [value for name, value in scope["headers"] if name == wanted]
    return b", ".join(values) if values else None
