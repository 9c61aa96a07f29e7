"""Why a container manager did not do what it was asked, in a sentence for people."""

import os
import socket
import ssl
from typing import Literal

import httpx
import orjson

from runners.os_support.terminal_text import printable

Kind = Literal[
    "unreachable",
    "tls",
    "timeout",
    "unauthorized",
    "forbidden",
    "not_found",
    "conflict",
    "busy",
    "refused",
    "failing",
    "nonsense",
    "files",
]
"""`busy`: 429. `refused`: any other answer from 400 to 499. `failing`: 500 and above."""

PASSING: frozenset[Kind] = frozenset({"unreachable", "timeout", "conflict", "busy", "failing"})
"""Failures that may pass in a moment, without anybody's doing."""
OF_THE_WHOLE: frozenset[Kind] = frozenset(
    {"unreachable", "tls", "timeout", "unauthorized", "failing", "nonsense", "files"}
)
"""Failures that any other request to the same container manager would meet, too."""

MESSAGE_CHARACTERS_MAX = 300
CHAIN_MAX = 10
RETRY_AFTER_S_MAX = 60.0

BY_STATUS: dict[int, Kind] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    410: "conflict",  # a list that has become too old to be read on
    429: "busy",
}
TERMINATING = b"NamespaceTerminating"
WORDS: dict[Kind, str] = {
    "unauthorized": "It does not know who asks (401): its token or certificate is not accepted",
    "forbidden": "It forbids that (403): see what it has to allow in docs/container-managers.md",
    "not_found": "It knows nothing of the kind (404)",
    "conflict": "Somebody else was quicker (409)",
    "busy": "It asks for patience (429)",
}
TIMED_OUT = "It did not answer in time"


class ManagerFailed(Exception):
    """A request failed, or it is not known whether; `reason` is a sentence without a secret.

    `after_s`: the pause that the container manager asked for, where it did.
    """

    def __init__(self, kind: Kind, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason
        self.after_s = after_s

    @property
    def passing(self) -> bool:
        """Whether the failure may pass in a moment."""
        return self.kind in PASSING

    @property
    def is_of_the_whole(self) -> bool:
        """Whether any other request to the container manager would fail as well."""
        return self.kind in OF_THE_WHOLE


def failed_answer(status: int, headers: httpx.Headers, body: bytes, secret: str) -> ManagerFailed:
    """The failure of an answer, whose message is quoted unless it has the secret in it."""
    fallback: Kind = "failing" if status >= 500 else "refused"
    kind = BY_STATUS.get(status, fallback)
    if status == 403 and TERMINATING in body:
        kind = "busy"  # a namespace that is going takes its pods along
    words = WORDS.get(kind, f"It answered {status}")
    said = _message(body)
    if secret and secret in said:
        said = ""
    return ManagerFailed(kind, f"{words}: {said}" if said else f"{words}.", _after_s(headers))


def failed_exchange(error: Exception, url: str) -> ManagerFailed:
    """The failure of an exchange that broke off. Its text may quote a header, and is left out."""
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return ManagerFailed("timeout", f"{TIMED_OUT}.")
    tls = _tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        why = tls.verify_message.rstrip(".")
        return ManagerFailed("tls", f"Its certificate is not trusted: {why}. See ca_path.")
    if tls is not None:
        # The library's own constant, such as TLSV13_ALERT_CERTIFICATE_REQUIRED.
        why = (tls.reason or "no reason given").replace("_", " ").lower()
        return ManagerFailed("tls", f"TLS with {url} failed: {why}.")
    if isinstance(error, httpx.ConnectError):
        return ManagerFailed("unreachable", f"{url} cannot be reached: {_system_error(error)}.")
    return ManagerFailed("unreachable", f"{url} broke off the exchange ({type(error).__name__}).")


def _message(body: bytes) -> str:
    """What a `Status` object says, as one line that a terminal cannot take for commands."""
    try:
        status = orjson.loads(body)
    except ValueError:
        return ""
    text = status.get("message") if isinstance(status, dict) else None
    if not isinstance(text, str):
        return ""
    line = printable(text[:MESSAGE_CHARACTERS_MAX])
    return line if line.endswith(".") else f"{line}."


def _after_s(headers: httpx.Headers) -> float | None:
    """`Retry-After` in seconds, up to the limit; the form with a date is not used by Kubernetes."""
    text = headers.get("retry-after", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    return min(float(text), RETRY_AFTER_S_MAX)


def _tls_error(error: Exception) -> ssl.SSLError | None:
    return next((e for e in _chain(error) if isinstance(e, ssl.SSLError)), None)


def _system_error(error: Exception) -> str:
    """The operating system's own words, from wherever they are in the chain."""
    numbers = [e.errno for e in _chain(error) if isinstance(e, OSError) and e.errno is not None]
    names = [e.strerror for e in _chain(error) if isinstance(e, socket.gaierror)]
    if names and names[0]:
        return names[0]
    return os.strerror(numbers[0]) if numbers else "no connection"


def _chain(error: BaseException) -> list[BaseException]:
    """The error and its causes."""
    chain = [error]
    while len(chain) < CHAIN_MAX and (before := chain[-1].__cause__ or chain[-1].__context__):
        chain.append(before)
    return chain
