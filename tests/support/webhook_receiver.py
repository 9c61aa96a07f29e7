"""A receiver of webhooks that takes messages, or does whatever else receivers do."""

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import orjson
from standardwebhooks import Webhook

from tests.support.certificates import Pair

LIMIT_S = 60.0
SECRET = "whsec_" + "bWFkZSB1cCBvbiB0aGUgc3BvdCwgMzIgYnl0ZXM="
BIG = b"x" * 1024

Does = int | Literal["hang", "cut", "cut_after_status", "endless", "drip"]
"""What it does with one message: answer a status, or something that is no answer."""


class Received(NamedTuple):
    """A message, whatever was done with it."""

    headers: Mapping[str, str]
    body: bytes
    path: str
    did: Does

    @property
    def id(self) -> str:
        """The same whenever it is sent again."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """What it says."""
        return orjson.loads(self.body)

    def must_be_signed(self, secret: str = SECRET) -> None:
        """Raises where it is not, as a receiver of the package does."""
        Webhook(secret).verify(self.body, dict(self.headers))


def must_be_delivered(taken: Sequence[Received], positions: Sequence[int]) -> None:
    """The promise: each event of these positions came, in order, and what came again had the same
    id as before."""
    first: dict[int, str] = {}
    for one in taken:
        position = int(one.event["id"])
        if position in first:
            assert one.id == first[position], f"{position} came with another id"
            continue
        assert not first or position > max(first), f"{position} came after {max(first)}"
        first[position] = one.id
    assert list(first) == list(positions), "not all came, or what nobody asked for"
    assert len(set(first.values())) == len(first), "two events came with one id"


class WebhookReceiver(ThreadingHTTPServer):
    """Does with each message what is next in `does`, and takes it where nothing is."""

    daemon_threads = True

    def __init__(self, pair: Pair | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.does: deque[Does] = deque()
        self.always: Does = 204
        self.received: list[Received] = []
        self.retry_after = ""
        """What it asks for with a status, where it asks for anything."""
        self.free = threading.Event()
        """Set: nothing hangs any more."""
        self.afterwards: Callable[[], None] = lambda: None
        """What happens right after an answer."""
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        scheme = "http" if pair is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server_port}/hook?key=made-up"

    @property
    def taken(self) -> list[Received]:
        """The messages that it said it took."""
        return [one for one in self.received if one.did in (200, 204, "cut_after_status")]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.free.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever sends may have gone."""


class Handler(BaseHTTPRequestHandler):
    """One message."""

    server: WebhookReceiver

    def do_POST(self) -> None:
        """Take it, or not."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        server = self.server
        does = server.does.popleft() if server.does else server.always
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.received.append(Received(headers, body, self.path, does))
        with suppress(OSError):
            self._do(does)
            self.wfile.flush()
        server.afterwards()

    def _do(self, does: Does) -> None:
        if isinstance(does, int):
            self.send_response(does)
            if 300 <= does < 400:
                self.send_header("Location", self.server.url)
            if self.server.retry_after:
                self.send_header("Retry-After", self.server.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif does == "hang":
            self.server.free.wait(LIMIT_S)
        elif does == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(1024 * 1024 * 1024))
            self.end_headers()
            self.wfile.flush()
            self._go_on(does)

    def _go_on(self, does: Does) -> None:
        if does == "drip":
            self.server.free.wait(LIMIT_S)
        while does == "endless":
            self.wfile.write(BIG)
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nobody reads it."""
