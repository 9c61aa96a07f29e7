"""Requests to a Kubernetes API server, over connections that are kept open.

`openshift` has the same API. The files of TLS are read again when they change, so that certificates
can be renewed while a container manager is in use.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import orjson

from domain.options import api_root
from runners.container_managers.failure import ManagerFailed, failed_answer, failed_exchange
from runners.os_support.bounded_body import PLAIN, UnusableAnswer, body_of
from runners.os_support.shared_read import SharedRead
from runners.os_support.trust import trust_in

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 20.0
"""One exchange, from its connection to the last byte of its answer."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
CONNECTIONS_MAX = 16
KEPT_ALIVE_S = 30.0

JSON = "application/json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"

Verb = Literal["GET", "POST", "PATCH", "DELETE"]
# Any: plain JSON.
Object = dict[str, Any]


@dataclass(frozen=True)
class Access:
    """The URL of an API server, and the credentials. Paths are on this machine."""

    server_url: str
    token: str = field(default="", repr=False)
    certificate_path: str | None = None
    certificate_key_path: str | None = None
    ca_path: str | None = None

    @property
    def files(self) -> list[str]:
        """The files of TLS that are set."""
        paths = (self.certificate_path, self.certificate_key_path, self.ca_path)
        return [path for path in paths if path is not None]


Stamp = tuple[tuple[int, int, int], ...]
"""Changes when one of the files of TLS changes."""


@dataclass(eq=False)
class _Line:
    """Connections that were made with one state of the files."""

    stamp: Stamp
    client: httpx.AsyncClient
    busy: int = 0
    is_old: bool = False

    async def close_if_idle(self) -> None:
        if self.is_old and not self.busy:
            await self.client.aclose()


class KubernetesApi:
    """One API server. `results` counts exchanges by `ok` or the kind of their failure."""

    def __init__(self, access: Access, results: Counter[str] | None = None) -> None:
        self._access = access
        self._root = api_root(access.server_url)
        self._results = Counter() if results is None else results
        self._line: _Line | None = None
        self._is_closed = False
        self._trusted: tuple[Stamp, ssl.SSLContext] | None = None
        self._read_files = SharedRead(self._trust)

    async def ask(
        self,
        verb: Verb,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
    ) -> Object:
        """The JSON object of a successful answer. Raises `ManagerFailed`."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                found = await self._exchange(verb, path, body, query or {}, content_type)
        except ManagerFailed as failed:
            self._results[failed.kind] += 1
            raise
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, TimeoutError) as error:
            broken = failed_exchange(error, self._access.server_url)
            self._results[broken.kind] += 1
            raise broken from None
        self._results["ok"] += 1
        return found

    async def aclose(self) -> None:
        """Close all connections; one that is in use is closed when its exchange ends."""
        self._is_closed = True
        line, self._line = self._line, None
        if line is not None:
            line.is_old = True
            await line.close_if_idle()

    async def _exchange(
        self,
        verb: Verb,
        path: str,
        body: Object | None,
        query: Mapping[str, str],
        content_type: str,
    ) -> Object:
        headers = httpx.Headers(PLAIN)
        if self._access.token:
            headers["authorization"] = f"Bearer {self._access.token}"
        if body is not None:
            headers["content-type"] = content_type
        content = None if body is None else orjson.dumps(body)
        url = f"{self._root}{path}"
        async with (
            self._client() as client,
            client.stream(verb, url, params=query, headers=headers, content=content) as answer,
        ):
            try:
                said = await body_of(answer, ANSWER_BYTES_MAX)
            except UnusableAnswer as unusable:
                raise ManagerFailed("nonsense", f"Its answer {unusable}") from None
        if not answer.is_success:
            raise failed_answer(answer.status_code, answer.headers, said, self._access.token)
        try:
            found = orjson.loads(said)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ManagerFailed("nonsense", "Its answer is no JSON object: it is no API server.")
        return found

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        before = self._line
        if before is None or self._access.files:
            stamp, trust = await self._read_files()
            before = self._line
            line = self._line_of(stamp, trust)
        else:
            line = before
        line.busy += 1  # before the next `await`: nobody closes it beneath us
        try:
            if before is not None and before is not line:
                before.is_old = True
                await before.close_if_idle()
            yield line.client
        finally:
            line.busy -= 1
            await line.close_if_idle()

    def _line_of(self, stamp: Stamp, trust: ssl.SSLContext) -> _Line:
        """The connections for the current state of the files."""
        if self._line is not None and self._line.stamp == stamp:
            return self._line
        line = _Line(stamp, _client_of(trust), is_old=self._is_closed)
        if not self._is_closed:
            self._line = line
        return line

    def _trust(self) -> tuple[Stamp, ssl.SSLContext]:
        """The current files, loaded. Raises `ManagerFailed` with what is wrong with which file."""
        access = self._access
        try:
            stamp = tuple(_stamp(path) for path in access.files)
            if self._trusted is not None and self._trusted[0] == stamp:
                return self._trusted
            trust = trust_in(access.ca_path)
            if access.certificate_path is not None:
                # Without one, OpenSSL would ask the terminal for the passphrase.
                trust.load_cert_chain(
                    access.certificate_path, access.certificate_key_path, password=""
                )
        except ssl.SSLError as error:
            named = " and ".join(access.files)
            why = (error.reason or "they are not PEM").replace("_", " ").lower()
            raise ManagerFailed("files", f"{named} cannot be used: {why}.") from None
        except OSError as error:
            named = error.filename or " or ".join(access.files)
            raise ManagerFailed("files", f"{named} cannot be read: {error.strerror}.") from None
        self._trusted = stamp, trust
        return self._trusted


def _stamp(path: str) -> tuple[int, int, int]:
    found = Path(path).stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _client_of(trust: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=trust,
        trust_env=False,
        follow_redirects=False,  # who is asked is who the operator named
        timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEPT_ALIVE_S,
        ),
    )
