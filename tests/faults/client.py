"""A client that costs little, so that one machine can be a crowd: a connection, JSON, a status."""

import base64
import http.client
import json
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.fleet.keys import new_key
from tests.support.service import Service

ANSWER_TIMEOUT_S = 60.0
IDLE_MAX_S = 10.0
"""A connection that was idle for longer may be closed by the service (`--keep-alive-s` is 15)."""
NO_SSHD_PORT = 1
"""Nothing listens there: a look at such a host is refused at once."""

PRIVATE_KEY = new_key().private
"""Made up for this run; all hosts that nobody can reach share it."""


class Answer(NamedTuple):
    """What the service said; `body` is the JSON value."""

    status: int
    body: Any
    headers: dict[str, str]


class Client:
    """One connection, opened anew where it broke, closed when nobody has it; for one thread."""

    _connection: http.client.HTTPConnection | None = None

    def __init__(self, service: Service, user: str = "admin") -> None:
        self._service = service
        secret = f"{user}:{service.password}".encode()
        self._authorization = "Basic " + base64.b64encode(secret).decode()
        self._url = ""
        self._used_at = 0.0
        self.slowest_s = 0.0
        """How long the slowest answer took."""

    def request(self, verb: str, path: str, body: object = None) -> Answer:
        """Ask. Raises OSError or HTTPException where no answer came: nobody knows then."""
        connection = self._connected()
        began = time.monotonic()
        content = None if body is None else json.dumps(body)
        try:
            headers = {"Authorization": self._authorization}
            connection.request(verb, f"/api/v0{path}", content, headers)
            response = connection.getresponse()
            text = response.read()
        except BaseException:
            self.close()
            raise
        self._used_at = time.monotonic()
        self.slowest_s = max(self.slowest_s, self._used_at - began)
        if response.will_close:
            self.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, json.loads(text) if text else None, found)

    def get(self, path: str) -> Any:
        """The body of a GET that must succeed."""
        answer = self.request("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.body

    def put(self, path: str, body: object = None) -> Answer:
        """PUT."""
        return self.request("PUT", path, body)

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self.request("DELETE", path)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # So that a journal, a thread or a crowd need not say that it is over.
    __del__ = close

    def _connected(self) -> http.client.HTTPConnection:
        if time.monotonic() - self._used_at > IDLE_MAX_S or self._url != self._service.url:
            self.close()
        if self._connection is None:
            self._url = self._service.url
            place = urlsplit(self._url)
            assert place.hostname is not None
            self._connection = http.client.HTTPConnection(
                place.hostname, place.port, timeout=ANSWER_TIMEOUT_S
            )
        return self._connection


def registration(
    cluster: str | None = None, key: bytes = PRIVATE_KEY, port: int = NO_SSHD_PORT
) -> dict[str, object]:
    """The body of a PUT of a host."""
    body: dict[str, object] = {"ssh_priv_key": base64.b64encode(key).decode(), "ssh_port": port}
    return body if cluster is None else body | {"cluster": cluster}


def address(crowd: int, number: int) -> str:
    """The loopback address of a host that nobody can reach; `number` from 0 to 62,499."""
    return f"127.{crowd}.{number // 250}.{number % 250 + 1}"
