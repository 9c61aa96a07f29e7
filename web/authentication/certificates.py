"""TLS client certificates: the common name, or a subject alternative name, is the user.

The server has checked the certificate against the CA; here only its names are looked up. The
user must be known, and has a role: removing the user is how a certificate is taken back.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from web.authentication.authentication import Forbidden, Identity, Scope, Users, authorization

SCOPE_KEY = "client_certificate"


class ClientCertificate(NamedTuple):
    """What a server that verified one puts into the ASGI scope, under SCOPE_KEY."""

    names: tuple[str, ...]
    """Common names first, then DNS names, mail addresses and URIs."""
    expires_at: float
    """Seconds since the epoch."""


class CertificateAuthentication:
    """Client certificates, for requests that bring no other credentials."""

    challenge = None

    def __init__(self, users: Users, clock: Callable[[], float] = time.time) -> None:
        self._users = users
        self._clock = clock

    def remembered(self, scope: Scope) -> Identity | None:
        """Who is asking: a look-up of each name."""
        certificate = _certificate(scope)
        if certificate is None or self._clock() >= certificate.expires_at:
            return None
        users = self._users.users
        for name in certificate.names:
            account = users.get(name)
            if account is not None:
                return account.identity(name)
        return None

    async def identify(self, scope: Scope) -> Identity | None:
        """Who is asking. Raises Forbidden for a certificate of nobody here, or an old one."""
        if _certificate(scope) is None:
            return None
        identity = self.remembered(scope)
        if identity is None:
            raise Forbidden("The client certificate has expired, or is of no user here.")
        return identity

    async def renew(self, scope: Scope) -> Identity | None:
        """None where it has expired, or its user was removed."""
        return self.remembered(scope)


def _certificate(scope: Scope) -> ClientCertificate | None:
    """The certificate, unless the request has credentials of its own: those count then."""
    certificate: ClientCertificate | None = scope.get(SCOPE_KEY)
    return None if certificate is None or authorization(scope) is not None else certificate
