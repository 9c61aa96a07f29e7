"""Who is asking: each kind of credentials is an `Authenticator`, and several may be on at once.

Each route (`web/routing/route.py`) calls `Authentication.authenticate`; `web/exception_handlers.py`
answers 401, 403, 429 or 503 for what it raises.
"""

import math
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from domain.refusal import Refusal
from domain.roles import Role, Standing, includes
from web.authentication.presence import presence_of

REALM = "commissaire"
# bcrypt looks at no more than these, and package bcrypt 5 raises for longer ones.
PASSWORD_BYTES_MAX = 72
# The hash of a user who has none, and comes with a client certificate only.
NO_PASSWORD = b""
# The cost of new hashes: a quarter of a second each.
BCRYPT_COST = 12

Observers = Literal["anyone", "local", "viewer"]
"""Who sees figures and reasons without logging in: `local` is whoever is on this machine."""

AUTHORIZATION_KEY = "commissaire.authorization"
"""Where the ASGI scope of a request has its `Authorization` header, once somebody asked."""

ADMITTED_BY_KEY = "commissaire.admitted_by"
"""Where it has the kind of credentials that let it in."""

# Any: what servers and middlewares keep in an ASGI scope has no common type.
Scope = MutableMapping[str, Any]


class Identity(NamedTuple):
    """Somebody whose credentials were right."""

    user: str
    role: Role
    clusters: tuple[tuple[str, Role], ...] = ()
    """Roles beyond that one in some clusters, as `Standing` has them."""

    @property
    def standing(self) -> Standing:
        """What they may do, everywhere and in some clusters."""
        return Standing(self.role, self.clusters)

    def may_act_as(self, role: Role) -> bool:
        """Whether this identity's role includes what `role` may do, everywhere."""
        return includes(self.role, role)

    def may_act_in(self, cluster: str, role: Role) -> bool:
        """Whether it may do in a cluster what `role` may do there; "" is outside of all."""
        return includes(self.standing.role_in(cluster), role)

    def may_act_somewhere(self, role: Role) -> bool:
        """Whether there is a cluster in which it may do what `role` may do there."""
        return any(includes(theirs, role) for _, theirs in self.clusters)


class Account(NamedTuple):
    """What is known of a user: the bcrypt hash of the password, or NO_PASSWORD, and the role."""

    hash: bytes
    role: Role
    clusters: tuple[tuple[str, Role], ...] = ()

    def __repr__(self) -> str:
        """Without the hash, which is nobody's business in a log."""
        return f"Account(role={self.role!r})"

    def identity(self, user: str) -> Identity:
        """Who it is that comes with this account."""
        return Identity(user, self.role, self.clusters)

    @property
    def cost(self) -> int:
        """bcrypt's cost: the hash takes 2 ** cost rounds."""
        return int(self.hash[4:6])


class Users(Protocol):
    """Whoever knows the users; asked on every request, so it must be quick."""

    @property
    def users(self) -> Mapping[str, Account]:
        """All users by name, as of now."""


class Unauthenticated(Exception):
    """No credentials came with the request: 401, with a `WWW-Authenticate` per challenge."""

    def __init__(self, challenges: tuple[str, ...]) -> None:
        super().__init__("Give a user name and a password, or a token, with the request.")
        self.challenges = challenges


class Forbidden(Exception):
    """The credentials are wrong, or nobody here understands them: 403."""

    def __init__(self, sentence: str = "The user name or the password is wrong.") -> None:
        super().__init__(sentence)


class TooManyFailures(Exception):
    """This client must not try more new credentials for now: 429 with `Retry-After`."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        super().__init__(
            f"There were too many failed log-ins: try again in {self.retry_after_s} seconds."
        )


class LogInsBusy(Exception):
    """So many log-ins wait that this one is not checked for now: 503 with `Retry-After`."""

    def __init__(self) -> None:
        super().__init__("Too many log-ins wait to be checked: try again in a moment.")


class Authenticator(Protocol):
    """One kind of credentials."""

    @property
    def challenge(self) -> str | None:
        """What `WWW-Authenticate` says of this kind; None where a header cannot ask for it."""

    def remembered(self, scope: Scope) -> Identity | None:
        """Who is asking, if that is known without any work; never waits, never raises."""

    async def identify(self, scope: Scope) -> Identity | None:
        """Who is asking; None if the request has no credentials of this kind.

        Raises Forbidden, TooManyFailures or LogInsBusy. Cancelled where the client leaves.
        """


class RenewingAuthenticator(Authenticator, Protocol):
    """An authenticator that is switched on."""

    async def renew(self, scope: Scope) -> Identity | None:
        """Who it is by now that was let in by this request; None where they would not be again.

        Asked once a second for an answer that goes on, so it must be quick.
        """


Again = Callable[[], Identity | None]
"""Who sends the same credentials again, where that is known without any work; it holds a digest of
the credentials, never themselves."""


@runtime_checkable
class Recognizing(Protocol):
    """An authenticator that recognizes whoever sends the very same request again."""

    def again(self, scope: Scope) -> Again:
        """What asks who sends it again; for a request that was let in."""
        ...


class Directory(Protocol):
    """Where the accounts are that kinds of credentials go by."""

    def is_current(self) -> bool:
        """Whether what is known of them is as of now; never waits, never raises."""
        ...

    async def refresh(self) -> None:
        """Have it known as of now. Raises `Refusal` where that cannot be."""
        ...


class AlwaysCurrent:
    """Accounts that are never behind."""

    def is_current(self) -> bool:
        """They are."""
        return True

    async def refresh(self) -> None:
        """There is nothing to do."""


class Authentication:
    """All kinds of credentials that are on, asked in order, on accounts that are as of now."""

    def __init__(
        self, *authenticators: RenewingAuthenticator, directory: Directory | None = None
    ) -> None:
        self._authenticators = authenticators
        self._directory = directory or AlwaysCurrent()
        self._again = {each: each.again for each in authenticators if isinstance(each, Recognizing)}
        self._challenges = tuple(dict.fromkeys(a.challenge for a in authenticators if a.challenge))

    def remembered(self, scope: Scope) -> Identity | None:
        """Who is asking, if their credentials were verified a moment ago; never waits."""
        return self._remembered(scope) if self._directory.is_current() else None

    def _remembered(self, scope: Scope) -> Identity | None:
        for authenticator in self._authenticators:
            identity = authenticator.remembered(scope)
            if identity is not None:
                scope[ADMITTED_BY_KEY] = authenticator
                return identity
        return None

    def again(self, scope: Scope) -> Again | None:
        """What asks who sends this request again, for one that was let in; None where its kind of
        credentials has to see the request for that."""
        recognize = self._again.get(scope[ADMITTED_BY_KEY])
        if recognize is None:
            return None
        again, directory = recognize(scope), self._directory
        return lambda: again() if directory.is_current() else None

    async def renew(self, scope: Scope) -> Identity | None:
        """Who it is by now that was let in by this request; None where they would not be again.

        A database that does not answer changes nothing.
        """
        with suppress(Refusal):
            await self._directory.refresh()
        admitted_by: RenewingAuthenticator = scope[ADMITTED_BY_KEY]
        return await admitted_by.renew(scope)

    async def authenticate(self, scope: Scope, *, as_known: bool = False) -> Identity:
        """Who is asking. Raises Unauthenticated, Forbidden, TooManyFailures or LogInsBusy.

        Raises `ClientDisconnect` where the client leaves before that is known, and
        `Refusal` where the database does not answer; `as_known` goes by what was known
        last then.
        """
        try:
            await self._directory.refresh()
        except Refusal:
            if not as_known:
                raise
        identity = self._remembered(scope)
        if identity is not None:
            return identity
        return await presence_of(scope).attend(self._identify(scope))

    async def _identify(self, scope: Scope) -> Identity:
        for authenticator in self._authenticators:
            identity = await authenticator.identify(scope)
            if identity is not None:
                scope[ADMITTED_BY_KEY] = authenticator
                return identity if self._directory.is_current() else await self._renewed(scope)
        # Malformed credentials, or of a kind that is not on, are wrong ones.
        if authorization(scope) is not None:
            raise Forbidden("These credentials are malformed, or of a kind that is not on.")
        raise Unauthenticated(self._challenges)

    async def _renewed(self, scope: Scope) -> Identity:
        """Who it is now: the account may have changed while the credentials were checked."""
        identity = await self.renew(scope)
        if identity is None:
            raise Forbidden
        return identity


def authorization(scope: Scope) -> bytes | None:
    """The `Authorization` header; None where it is missing or empty.

    Several are put together as HTTP has it (RFC 9110, 5.3), which makes them malformed.
    """
    # Each kind of credentials asks: the headers are gone through once, and not for each.
    if AUTHORIZATION_KEY not in scope:
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        scope[AUTHORIZATION_KEY] = b", ".join(values) or None
    header: bytes | None = scope[AUTHORIZATION_KEY]
    return header
