"""Whoever may read the data directory on this machine needs no log-in: `local.json` lets them in.

The file is 0600, as the users file is, and has the URL and a token that is good while this process
runs. It gives nobody anything new: who can read it can make tokens with `commissaire token create`.
"""

import contextlib
import json
import os
import pwd
import secrets
import tempfile
from pathlib import Path

from runners.os_support.log_lines import ServiceLog
from runners.settings.settings import Settings
from web.authentication.authentication import Identity
from web.authentication.tokens import PREFIX, Token, Tokens, digest

FILE = "local.json"
TOKEN_BYTES = 32
FOREVER = float("inf")
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - looked for, not bound


class LocalLogin:
    """The token of this process, in a file of its data directory."""

    def __init__(self, settings: Settings, lines: ServiceLog) -> None:
        self._path = settings.data / FILE
        self._certificate = settings.tls_cert
        self._lines = lines
        self._token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        self._digest = digest(self._token.encode())
        self._known = Token(Identity(f"local:{_account()}", "admin"), FOREVER)

    def find(self, wanted: bytes) -> Token | None:
        """The token of this process, where it is that one."""
        return self._known if secrets.compare_digest(wanted, self._digest) else None

    def announce(self, address: str) -> None:
        """Write the file; a directory that cannot be written to only costs the comfort."""
        written = {"url": _reachable(address), "token": self._token, "pid": os.getpid()}
        if self._certificate is not None:
            written["certificate"] = str(self._certificate.absolute())
        try:
            self._write(json.dumps(written))
        except OSError as error:
            self._lines.write("local_login.off", level="warning", reason=str(error.strerror))

    def withdraw(self) -> None:
        """Remove the file, unless another process of this directory has written its own."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if json.loads(self._path.read_bytes()).get("token") == self._token:
                self._path.unlink()

    def _write(self, text: str) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{FILE}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink()
            raise


class WithLocalLogin:
    """The tokens that were made, and that of this process."""

    def __init__(self, tokens: Tokens, local: LocalLogin) -> None:
        self._tokens = tokens
        self._local = local

    def find(self, digest: bytes) -> Token | None:
        """The token with this digest."""
        return self._tokens.find(digest) or self._local.find(digest)


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _reachable(address: str) -> str:
    """A URL that this machine can ask where the service listens on all addresses."""
    for every, one in ANY_ADDRESS.items():
        address = address.replace(f"//{every}:", f"//{one}:")
    return address
