"""How both services let us in. A secret is never an argument, and is in no message."""

import json
import os
import ssl
import stat
import sys
from getpass import getpass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import typer

from runners.cli.import_2017.remote import Login, root_of
from runners.os_support.json_file import ChangeRefused
from runners.os_support.trust import trust_in
from runners.security.local_login import FILE
from runners.settings.reading import settings_of

SECRET_BYTES_MAX = 16 * 1024
STDIN = Path("-")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Target(NamedTuple):
    """A service, how it lets us in, and whose certificate it has to have."""

    url: str
    login: Login
    trust: ssl.SSLContext


def source(
    url: str, user: str | None, password: tuple[Path | None, str | None], ca: Path | None
) -> Target:
    """The old service; its password is in the file, else it is the text, else it is asked for."""
    trust = trusted(ca)
    return Target(url, Login(user, _password(user, *password)), trust)


def can_be_overheard(url: str) -> bool:
    """Whether secrets go over a network as they are."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK


def target(
    to: str | None,
    token_file: Path | None,
    ca: Path | None,
    settings: tuple[str | None, str | None],
) -> Target:
    """The service that is named, or that of the data directory on this machine."""
    if to is not None:
        if token_file is None:
            raise typer.BadParameter(
                "--to needs --token-file: commissaire token create --role admin"
            )
        return Target(root_of(to), Login(token=secret_in(token_file)), trusted(ca))
    if token_file is not None or ca is not None:
        raise typer.BadParameter("--token-file and --to-ca go with --to.")
    data, config = settings
    file = settings_of(data=data, config=config).data / FILE
    try:
        said = json.loads(secret_in(file))
        url, token, certificate = str(said["url"]), str(said["token"]), said.get("certificate")
    except (OSError, ChangeRefused, ValueError, KeyError, TypeError, AttributeError):
        raise ChangeRefused(
            f"{file}: no service runs there that may be read: start it, or name one with --to."
        ) from None
    return Target(
        url, Login(token=token), _this_one(Path(certificate)) if certificate else trusted(None)
    )


def _password(user: str | None, file: Path | None, variable: str | None) -> str:
    """The password of a user over there: of a file, else of the variable, else asked for."""
    if user is None:
        if file is not None:
            raise typer.BadParameter("--password-file goes with --user.")
        return ""
    if file is not None:
        return secret_in(file)
    if variable:
        return variable
    if not sys.stdin.isatty():
        raise typer.BadParameter("There is no terminal to ask for a password: --password-file -.")
    return getpass(f"Password of {user}: ")


def secret_in(file: Path) -> str:
    """The first line of a file that others cannot read, or of standard input."""
    if file == STDIN:
        text = sys.stdin.buffer.read(SECRET_BYTES_MAX)
    else:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
                raise ChangeRefused(f"{file} can be read by others: chmod 600 {file}")
            text = opened.read(SECRET_BYTES_MAX)
    line = text.decode(errors="replace").partition("\n")[0].removesuffix("\r")
    if not line:
        raise ChangeRefused(f"{'Standard input' if file == STDIN else file} is empty.")
    return line


def trusted(ca: Path | None) -> ssl.SSLContext:
    """Whose certificates are believed. Verification is never off."""
    try:
        return trust_in(ca)
    except (OSError, ssl.SSLError):
        raise ChangeRefused(f"{ca}: no certificates to trust.") from None


def _this_one(certificate: Path) -> ssl.SSLContext:
    """The service of this machine: whoever has the key of this very certificate, by any name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    end = "-----END CERTIFICATE-----"
    try:
        context.load_verify_locations(cadata=certificate.read_text().partition(end)[0] + end)
    except (OSError, ValueError):
        raise ChangeRefused(f"{certificate}: no certificate to trust.") from None
    return context
