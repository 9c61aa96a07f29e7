"""API tokens: `Authorization: Bearer cmsr_…` (RFC 6750).

A token is 256 random bits, so its SHA-256 cannot be turned back and costs a microsecond: nothing
needs to be remembered, and what is revoked or expires counts with the next request.
"""

import re
import secrets
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import NamedTuple, Protocol

from web.authentication.authentication import (
    REALM,
    Again,
    Forbidden,
    Identity,
    Scope,
    authorization,
)

PREFIX = "cmsr_"
"""What every token begins with, so that scanners find one that was published by mistake."""
TOKEN_BYTES = 32
SCHEME = b"bearer "
TOKEN = re.compile(rb"cmsr_[A-Za-z0-9_-]*")


class Token(NamedTuple):
    """What is known of a token."""

    identity: Identity
    expires_at: float
    """Seconds since the epoch; infinity where it does not expire."""


class Tokens(Protocol):
    """Whoever knows the tokens; asked on every request, so it must be quick."""

    def find(self, digest: bytes) -> Token | None:
        """The token with this digest."""


def new_token() -> str:
    """A token that nobody else has."""
    return PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def digest(token: bytes) -> bytes:
    """What is kept of a token."""
    return sha256(token).digest()


def without_tokens(text: bytes) -> bytes:
    """What may be kept of what a client sent in a place that is no place for a token."""
    return TOKEN.sub(b"TOKEN", text) if PREFIX.encode() in text else text


class TokenAuthentication:
    """`Authorization: Bearer`, for the tokens of `tokens`. Bearers of other kinds are let pass."""

    challenge = f'Bearer realm="{REALM}"'

    def __init__(self, tokens: Tokens, clock: Callable[[], float] = time.time) -> None:
        self._tokens = tokens
        self._clock = clock

    def remembered(self, scope: Scope) -> Identity | None:
        """Who is asking: a stat() of the file and a hash, microseconds."""
        token = _token(scope)
        return None if token is None else self._bearer(digest(token))

    def again(self, scope: Scope) -> Again:
        """What asks who sends this token again."""
        return partial(self._bearer, digest(_token(scope) or b""))

    def _bearer(self, digest: bytes) -> Identity | None:
        found = self._tokens.find(digest)
        return found.identity if found and self._clock() < found.expires_at else None

    async def identify(self, scope: Scope) -> Identity | None:
        """Who is asking. Raises Forbidden for a token that is not, or no longer, good."""
        if _token(scope) is None:
            return None
        identity = self.remembered(scope)
        if identity is None:
            raise Forbidden("The token is unknown, was revoked, or has expired.")
        return identity

    async def renew(self, scope: Scope) -> Identity | None:
        """None where it was revoked, or has expired."""
        return self.remembered(scope)


def _token(scope: Scope) -> bytes | None:
    """The token in a request's header; None where there is none of ours."""
    header = authorization(scope)
    if header is None or header[: len(SCHEME)].lower() != SCHEME:
        return None
    token = header[len(SCHEME) :].strip(b" ")
    return token if token.startswith(PREFIX.encode()) else None
