"""An API server over a real socket, with TLS, a token, client certificates, and faults on order."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.runners.container_managers.objects import Object, Objects, Refused
from tests.support.certificates import Authority

PATCHES = ("application/strategic-merge-patch+json", "application/merge-patch+json")
IDLE_S = 60.0


@dataclass(frozen=True)
class Fault:
    """What befalls a request: another answer, none, a late one, or one that does not come back."""

    status: int = 0
    after_s: int | None = None
    message: str = ""
    hangs_s: float = 0.0
    cut: bool = False
    """The connection ends before anything was done."""
    lost: bool = False
    """It ends after it was done."""
    body: bytes | None = None
    """In place of the true one."""
    encoding: str = ""

    def refuse(self) -> None:
        """Where it is an answer in place of the true one."""
        if self.status:
            message = self.message or "something went wrong"
            raise Refused(self.status, message, after_s=self.after_s)


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    verb: str
    path: str
    body: Object
    content_type: str


class ApiServer:
    """Runs in threads, while the context is open. `objects` is what it knows."""

    def __init__(self, authority: Authority | None = None, *, token: str = "") -> None:
        self.token = token
        self.authority = authority
        self.objects = Objects()
        self.forbidden: set[tuple[str, str]] = set()
        """Verb and a part of the path that nobody is allowed."""
        self.asked: list[Asked] = []
        self.lock = threading.RLock()
        self._faults: list[tuple[str, str, Fault]] = []
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread = threading.Thread()
        self.context: ssl.SSLContext | None = None
        self.connections: set[socket.socket] = set()
        if authority is not None:
            self.serve_with(authority)

    def serve_with(self, authority: Authority) -> None:
        """Certify itself by this authority, and trust its clients."""
        pair = authority.server("api-server")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        context.load_verify_locations(authority.file)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.context = context

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http{'s' if self.context else ''}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; at the same port each time."""
        handler = type("Bound", (_Handler,), {"api": self})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """As if its machine were switched off."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = None
        with self.lock:
            for connection in self.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Down as long as the context is open."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def befall(self, verb: str, path: str, *faults: Fault) -> None:
        """What happens to the next requests of a verb with this in their path, one each."""
        with self.lock:
            self._faults += [(verb, path, fault) for fault in faults]

    def requests(self, verb: str, path: str = "") -> list[Asked]:
        """Those of a verb that have this in their path."""
        with self.lock:
            return [asked for asked in self.asked if asked.verb == verb and path in asked.path]

    def fault_of(self, verb: str, path: str) -> Fault:
        """The one that befalls a request, which is then over."""
        for number, (its_verb, part, fault) in enumerate(self._faults):
            if its_verb == verb and part in path:
                del self._faults[number]
                return fault
        return Fault()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Such as a client that does not trust us: it says so itself."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    api: ClassVar[ApiServer]
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """TLS here, in the connection's own thread: who stalls holds up nobody."""
        self.request.settimeout(IDLE_S)
        if self.api.context is not None:
            self.request = self.api.context.wrap_socket(self.request, server_side=True)
        with self.api.lock:
            self.api.connections.add(self.request)
        super().setup()

    def handle(self) -> None:
        """Whoever goes away in the middle is gone."""
        with suppress(OSError):
            super().handle()

    def finish(self) -> None:
        """Nothing is left of it."""
        with self.api.lock:
            self.api.connections.discard(self.request)
        with suppress(OSError):
            super().finish()
        with suppress(OSError):
            self.request.close()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        content_type = self.headers.get("content-type", "")
        with self.api.lock:
            self.api.asked.append(Asked(self.command, self.path, body, content_type))
            fault = self.api.fault_of(self.command, self.path)
        time.sleep(fault.hangs_s)
        if fault.cut:
            self._cut()
            return
        try:
            self._admit()
            fault.refuse()
            status, said = 200, fault.body
            if said is None:
                with self.api.lock:
                    status, answer = self._carry_out(body, content_type)
                    said = json.dumps(answer).encode()
        except Refused as refused:
            status, said = refused.code, json.dumps(refused.status).encode()
            if refused.after_s is not None:
                fault = Fault(after_s=refused.after_s, lost=fault.lost)
        if fault.lost:
            self._cut()
            return
        self._send(status, said, fault)

    def _send(self, status: int, said: bytes, fault: Fault) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        if fault.after_s is not None:
            self.send_header("retry-after", str(fault.after_s))
        if fault.encoding:
            self.send_header("content-encoding", fault.encoding)
        self.end_headers()
        self.wfile.write(said)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _admit(self) -> None:
        """Whoever has the token, or a certificate of ours."""
        certificate = isinstance(self.request, ssl.SSLSocket) and self.request.getpeercert()
        has_token = self.headers.get("authorization") == f"Bearer {self.api.token}"
        if self.api.token and not certificate and not has_token:
            raise Refused(401, "Unauthorized")
        for verb, part in self.api.forbidden:
            if verb == self.command and part in self.path:
                who = "system:serviceaccount:kube-system:commissaire"
                raise Refused(403, f'forbidden: User "{who}" cannot do that')

    def _carry_out(self, body: Object, content_type: str) -> tuple[int, Object]:
        objects, parts = self.api.objects, urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        match self.command, [unquote(part) for part in parts.path.strip("/").split("/")]:
            case "GET", ["api", "v1", "nodes"]:
                return 200, self._page(list(objects.nodes.values()), query)
            case "POST", ["api", "v1", "nodes"]:
                return 201, objects.create_node(body)
            case "GET", ["api", "v1", "nodes", name]:
                return 200, objects.node(name)
            case "PATCH", ["api", "v1", "nodes", name]:
                if content_type not in PATCHES:
                    raise Refused(415, "the body of the request was in an unknown format")
                return 200, objects.patch_node(name, body)
            case "DELETE", ["api", "v1", "nodes", name]:
                return 200, objects.delete_node(name, body)
            case "GET", ["api", "v1", "pods"]:
                field, _, node = query.get("fieldSelector", "").partition("=")
                if field != "spec.nodeName":
                    raise Refused(400, "field label not supported")
                return 200, self._page(objects.pods_of(node), query)
            case "POST", ["api", "v1", "namespaces", namespace, "pods", name, "eviction"]:
                return 201, objects.evict(namespace, name, body)
            case _:
                raise Refused(404, "the server could not find the requested resource")

    @staticmethod
    def _page(items: list[Object], query: dict[str, str]) -> Object:
        """At most `limit`, and where to go on."""
        begin, limit = int(query.get("continue", "0")), int(query.get("limit", "500"))
        page: Object = {"kind": "List", "metadata": {}, "items": items[begin : begin + limit]}
        if begin + limit < len(items):
            page["metadata"]["continue"] = str(begin + limit)
        return page
