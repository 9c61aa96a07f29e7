"""Requests: who asks, what is asked again after a lost answer, and how refusals are told."""

import json
import re
import ssl
import sys
import time
from base64 import b64encode
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from commctl import exits
from commctl.login.local_login import read_again
from commctl.login.profiles import NOWHERE, OF_PROFILE, Password, Server, let_in_by

if TYPE_CHECKING:  # takes a tenth of a second, which `--help` does not have
    import httpx

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
TRIES = 6
"""Of a request that may be sent again."""
PAUSE_S, PAUSE_MAX_S = 0.2, 3.0
AT_ONCE = 16
"""So many requests of a bulk are under way at most."""
AGAIN = ("GET", "HEAD", "PUT", "DELETE")
"""What may be sent again: the answer is the same."""
BUSY = 503
FORBIDDEN = 403
TOO_MANY_LOG_INS = 429
NOT_LET_IN = (401, FORBIDDEN)
ERRNO = re.compile(r"^\[Errno -?\d+\] | \(_ssl\.c:\d+\)|^\[SSL: \w+\] ")
HINTS = {
    "certificate verify failed": "--ca FILE, COMMCTL_CA_FILE or a profile says whom to trust.",
    "wrong version number": "No TLS is spoken there: is it an http:// address?",
    "record layer failure": "No TLS is spoken there: is it an http:// address?",
}
"""What helps, by what OpenSSL says."""


class Answer(NamedTuple):
    """What came back: JSON, or text where it is none."""

    body: Any  # JSON
    position: int | None
    """The position of the log that it is as of."""
    next: str | None
    """The path of the next page."""
    headers: "httpx.Headers"


class Transport:
    """A connection to one service. Fit for several threads."""

    def __init__(self, server: Server, request: str | None = None, note: str | None = None) -> None:
        httpx = _httpx()
        self.server = server
        self._was_there = False
        headers = {
            b"Accept": b"application/json",
            b"User-Agent": b"commctl",
            **_authorization(server),
        }
        if request is not None:
            headers[b"X-Request-ID"] = _line("--request", request)
        if note is not None:
            headers[b"Commissaire-Note"] = _line("--note", note)
        self.http = httpx.Client(
            base_url=_base(server),
            headers=headers,
            verify=tls_context(server),
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=AT_ONCE + 2, max_keepalive_connections=AT_ONCE),
            # Neither a proxy nor ~/.netrc behind our back: credentials go where they are meant to.
            trust_env=False,
        )

    def request(
        self,
        verb: str,
        path: str,
        query: "dict[str, Any] | None" = None,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Ask. Raises NoServer, NoLogin or Refused."""
        import httpx

        may_repeat = verb in AGAIN or "Idempotency-Key" in (headers or {})
        content = None if body is None else json.dumps(body).encode()
        for left in reversed(range(TRIES)):
            pause = min(PAUSE_S * 2 ** (TRIES - 1 - left), PAUSE_MAX_S)
            try:
                answer = self.http.request(
                    verb, _path(path), params=_query(query), content=content, headers=headers
                )
            except httpx.ConnectError as error:
                # Nothing was sent. Where it has answered before it may only be restarting.
                if not left or not (self._was_there or self.renew()):
                    raise self.nobody(error) from None
                self.renew()
            except httpx.TransportError as error:
                if not left or not may_repeat:
                    raise self.nobody(error) from None
            else:
                self._was_there = True
                if answer.status_code in NOT_LET_IN and left and self.renew():
                    continue
                if answer.status_code != BUSY or not left:
                    return self._told(answer)
            time.sleep(pause)
        raise AssertionError("the last try is answered or raises")

    def renew(self) -> bool:
        """Whether the service of this machine was started anew, and lets us in by a new token."""
        found = self.server.local and read_again(self.server.local)
        if not found or found.token == self.server.credentials:
            return False
        self.server = let_in_by(found, self.server)
        self.http.base_url = _base(self.server)
        self.http.headers.update(_authorization(self.server))
        return True

    def nobody(self, error: Exception) -> exits.NoServer:
        """What is said where there is no answer."""
        why = ERRNO.sub("", str(error)) or type(error).__name__
        sentences = [f"{self.server.url} does not answer: {why.rstrip('.')}."]
        sentences += [sentence for sign, sentence in HINTS.items() if sign in why]
        if not self.server.is_chosen:
            sentences.append("Another server: -s URL, COMMCTL_SERVER, or `commctl login URL`.")
        return exits.NoServer(*sentences)

    def _told(self, answer: "httpx.Response") -> Answer:
        if answer.is_redirect:
            raise exits.Refused(f"{self.server.url} leads to {answer.headers.get('location')}.")
        if answer.status_code >= 400:
            raise self.refusal(answer)
        position = answer.headers.get("commissaire-position")
        following = answer.links.get("next", {}).get("url")
        form = answer.headers.get("content-type", "")
        try:
            body = answer.json() if "json" in form else answer.text
        except ValueError:
            raise self._stranger(answer) from None
        if "html" in form:
            raise self._stranger(answer)
        return Answer(
            body,
            int(position) if position else None,
            following,
            answer.headers,
        )

    def refusal(self, answer: "httpx.Response") -> exits.Ended:
        """What an answer that is none means."""
        try:
            problem = answer.json()
            detail, kind = str(problem["detail"]), str(problem["type"]).rpartition(":")[2]
            faults = [f"{f['key']}: {f['message']}" for f in problem.get("errors", [])]
        except (ValueError, KeyError, TypeError):
            return self._stranger(answer)
        said = [detail, *(fault for fault in faults if not fault.endswith(detail))]
        code = answer.status_code
        if code == 401:
            return exits.NoLogin(f"{self.server.url} wants a log-in: `commctl login`.", code=code)
        if code == TOO_MANY_LOG_INS:
            return exits.NoLogin(*said, code=code)
        if code == FORBIDDEN and not self._is_let_in():
            if self.server.origin.startswith(OF_PROFILE):
                again = f"log in again: commctl login {self.server.url}"
                said.append(f"The log-in is from {self.server.origin}; {again}")
            elif self.server.origin != NOWHERE:
                said.append(f"The log-in is from {self.server.origin}.")
            return exits.NoLogin(*said, code=code)
        return exits.Refused(*said, code=code, kind=kind)

    def _stranger(self, answer: "httpx.Response") -> exits.Refused:
        """What is said of an answer that is none of Commissaire's."""
        code = answer.status_code
        told = f"{self.server.url} answers {code} {answer.reason_phrase}".rstrip()
        more = "is it Commissaire, and does what is in between work?"
        return exits.Refused(f"{told}, not as Commissaire does: {more}", code=code)

    def _is_let_in(self) -> bool:
        """Whether what every role may see is seen: then it is the role that is too small."""
        import httpx

        try:
            return bool(self.http.get("clusters").status_code != FORBIDDEN)
        except httpx.TransportError:  # nobody knows: what was said first is told
            return True


def _httpx() -> ModuleType:
    """The library without its own command line, which takes as long to import as all the rest."""
    if "httpx" not in sys.modules:
        sys.modules["httpx._main"] = None  # type: ignore[assignment] # as Python has it: not there
        import httpx

        del sys.modules["httpx._main"]
        return httpx
    return sys.modules["httpx"]


def tls_context(server: Server) -> ssl.SSLContext:
    """Whom to trust. Verification is never off."""
    if not server.url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is not asked
    try:
        if server.certificate is None:
            context = ssl.create_default_context(cafile=server.ca and str(server.ca))
            # As before Python 3.13: the authorities of many houses have no key identifier.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            return context
        # The service of this machine: whoever has the key of this very certificate, by any name.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        end = "-----END CERTIFICATE-----"
        context.load_verify_locations(cadata=server.certificate.read_text().partition(end)[0] + end)
    except (OSError, ssl.SSLError) as error:
        named = server.certificate or server.ca
        raise exits.WrongUse(f"{named}: no certificates to trust ({error}).") from None
    return context


def _base(server: Server) -> str:
    return f"{server.url}/api/v0/"


def _authorization(server: Server) -> dict[bytes, bytes]:
    known = server.credentials
    if known is None:
        return {}
    if isinstance(known, Password):
        pair = b64encode(f"{known.user}:{known.password}".encode()).decode()
        return {b"Authorization": f"Basic {pair}".encode()}
    return {b"Authorization": b"Bearer " + _line(f"The token of {server.origin}", known)}


def _line(what: str, text: str) -> bytes:
    """The value of a header. Raises WrongUse, without the text: it may be a secret."""
    told = text.strip()
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in told):
        raise exits.WrongUse(f"{what} is not one line of text.")
    return told.encode(errors="surrogateescape")


def _path(path: str) -> str:
    """Relative to the API; what links say is absolute."""
    return path.removeprefix("/api/v0").lstrip("/") if path.startswith("/api/v0") else path


def _query(query: "dict[str, Any] | None") -> "dict[str, Any] | None":
    return {k: v for k, v in query.items() if v is not None} if query else None
