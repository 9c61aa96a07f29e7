"""Which kinds of credentials are on: tokens, HTTP Basic, what is plugged in, client certificates.

A plugged-in kind is an entry point of the group `commissaire.authenticators`: what it names is
called with the users and the environment, and gives a
`web.authentication.authentication.Authenticator`. It is on only where `--authenticator` names it;
docs/access.md shows how to write one.
"""

import asyncio
import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Protocol

from domain.refusal import unavailable
from runners.os_support.log_lines import ServiceLog, described
from runners.security.accounts import Accounts
from runners.security.local_login import LocalLogin, WithLocalLogin
from runners.security.session_uses import SessionUses
from runners.settings.settings import Settings
from web.authentication.authentication import (
    Authentication,
    Authenticator,
    Forbidden,
    Identity,
    RenewingAuthenticator,
    Scope,
    Users,
)
from web.authentication.basic import BasicAuthentication
from web.authentication.certificates import CertificateAuthentication
from web.authentication.sessions import SessionAuthentication
from web.authentication.tokens import TokenAuthentication

GROUP = "commissaire.authenticators"
ASK_AGAIN_S = 60.0
"""How often somebody who listens on is identified anew, where a kind does not remember anybody."""
IDENTIFIED_KEY = "commissaire.identified"
"""Where the scope of a request has when that was, by the loop's clock, and who it was."""


class OpenAuthenticator(Protocol):
    """What an entry point of the group names."""

    def __call__(self, users: Users, environ: Mapping[str, str]) -> Authenticator:
        """Make one that is ready. Raises ValueError with a sentence where it cannot."""
        ...


class WrongAuthenticator(Exception):
    """A kind of credentials that is named in the settings cannot be used; the sentence says why."""


class Bounded:
    """What is plugged in, with a limit on how long it keeps a client waiting."""

    def __init__(self, name: str, plugged_in: Authenticator, timeout_s: float) -> None:
        self.challenge = plugged_in.challenge
        self.remembered = plugged_in.remembered
        self._name = name
        self._plugged_in = plugged_in
        self._timeout_s = timeout_s

    async def identify(self, scope: Scope) -> Identity | None:
        """As of what is plugged in. Raises `Refusal` where it does not come to an end."""
        try:
            async with asyncio.timeout(self._timeout_s):
                identity = await self._plugged_in.identify(scope)
        except TimeoutError:
            raise unavailable(
                f"Logging in by {self._name} takes longer than {self._timeout_s:g} s: try again."
            ) from None
        scope[IDENTIFIED_KEY] = asyncio.get_running_loop().time(), identity
        return identity

    async def renew(self, scope: Scope) -> Identity | None:
        """As it remembers, or as it identifies them every so often; its faults change nothing."""
        known = self.remembered(scope)
        if known is not None:
            return known
        now = asyncio.get_running_loop().time()
        identified: tuple[float, Identity | None] = scope.get(IDENTIFIED_KEY, (-ASK_AGAIN_S, None))
        at, before = identified
        if now - at < ASK_AGAIN_S:
            return before
        scope[IDENTIFIED_KEY] = now, before
        try:
            return await self.identify(scope)
        except Forbidden:
            return None
        except Exception:  # noqa: BLE001 - of somebody else's package, whatever it is
            return before


def authentication(
    settings: Settings,
    accounts: Accounts,
    basic: BasicAuthentication,
    uses: SessionUses,
    lines: ServiceLog,
    environ: Mapping[str, str],
    local: LocalLogin,
) -> Authentication:
    """All kinds that the settings ask for, in the order in which they are asked.

    Raises WrongAuthenticator.
    """
    kinds: list[RenewingAuthenticator] = [
        TokenAuthentication(WithLocalLogin(accounts, local)),
        basic,
        *(
            Bounded(name, plugged_in, settings.authenticator_timeout_s)
            for name, plugged_in in _plugged_in(settings.authenticator, accounts, environ, lines)
        ),
    ]
    kinds.append(SessionAuthentication(accounts, uses))
    if settings.tls_client_ca is not None:
        kinds.append(CertificateAuthentication(accounts))
    return Authentication(*kinds, directory=accounts)


def _plugged_in(
    names: tuple[str, ...], users: Users, environ: Mapping[str, str], lines: ServiceLog
) -> Iterator[tuple[str, Authenticator]]:
    installed = {point.name: point for point in entry_points(group=GROUP)}
    for name in names:
        point = installed.get(name)
        if point is None:
            known = ", ".join(sorted(installed)) or "none"
            raise WrongAuthenticator(f"--authenticator {name}: not installed ({known} is)")
        try:
            open_authenticator: OpenAuthenticator = point.load()
            authenticator = open_authenticator(users, environ)
        except ValueError as error:
            raise WrongAuthenticator(f"--authenticator {name}: {error}") from None
        except Exception as error:  # noqa: BLE001 - of somebody else's package, whatever it is
            # Its words may be a secret, its place is none.
            where = described(error)["where"]
            lines.write("authenticator.failed", level="error", name=name, where=where)
            raise WrongAuthenticator(
                f"--authenticator {name}: {point.value} does not start ({type(error).__name__})"
            ) from None
        if not _is_one(authenticator):
            raise WrongAuthenticator(
                f"--authenticator {name}: {point.value} gives no authenticator (docs/access.md)"
            )
        lines.write("authenticator.on", name=name, origin=point.value)
        yield name, authenticator


def _is_one(candidate: object) -> bool:
    """Whether it has what is asked of it: found out now, not at the first request."""
    return (
        hasattr(candidate, "challenge")
        and callable(getattr(candidate, "remembered", None))
        and inspect.iscoroutinefunction(getattr(candidate, "identify", None))
    )
