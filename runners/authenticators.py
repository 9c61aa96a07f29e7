"""Which kinds of credentials are on: tokens, HTTP Basic, what is plugged in, client certificates.

A plugged-in kind is an entry point of the group `commissaire.authenticators`: something to call
with the users (`web.authentication.Users`) that gives a `web.authentication.Authenticator`. It is
on only where `--authenticators` names it.
"""

from collections.abc import Iterator
from importlib.metadata import entry_points

from runners.log_lines import LogLines, described
from runners.settings import Settings
from runners.tokens import TokensFile
from web.authentication import Authentication, Authenticator, Users
from web.basic import BasicAuthentication
from web.certificates import CertificateAuthentication
from web.password_queue import PasswordQueue
from web.tokens import TokenAuthentication

GROUP = "commissaire.authenticators"


class WrongAuthenticator(Exception):
    """A kind of credentials that is named in the settings cannot be used; the sentence says why."""


def authentication(
    settings: Settings, users: Users, queue: PasswordQueue, lines: LogLines
) -> Authentication:
    """All kinds that the settings ask for, in the order in which they are asked.

    Raises WrongAuthenticator.
    """
    tokens = TokensFile(
        settings.tokens_file,
        lambda broken: lines.line("tokens_file.broken", level="error", reason=str(broken)),
    )
    kinds: list[Authenticator] = [
        TokenAuthentication(tokens),
        BasicAuthentication(users, queue),
        *_plugged_in(settings.authenticator_names, users, lines),
    ]
    if settings.tls_client_ca is not None:
        kinds.append(CertificateAuthentication(users))
    return Authentication(*kinds)


def _plugged_in(names: tuple[str, ...], users: Users, lines: LogLines) -> Iterator[Authenticator]:
    installed = {point.name: point for point in entry_points(group=GROUP)}
    for name in names:
        point = installed.get(name)
        if point is None:
            known = ", ".join(sorted(installed)) or "none"
            raise WrongAuthenticator(f"--authenticators {name}: not installed ({known} is)")
        try:
            authenticator: Authenticator = point.load()(users)
        except Exception as error:
            # Whatever somebody else's code raises; only where it did goes into the log.
            lines.line("authenticator.failed", level="error", name=name, **described(error))
            raise WrongAuthenticator(
                f"--authenticators {name}: {point.value} does not start ({type(error).__name__})"
            ) from error
        lines.line("authenticator.on", name=name, origin=point.value)
        yield authenticator
