"""A service of 2017 on a real socket: what the reference of its API says it answers.

`records` are its answers by path; a path may have a `Fault` in place of one.
"""

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

API = "/api/v0"
USER, PASSWORD = "a", "old:pass/word"

# Any: records, as JSON has them.
Fault = Callable[[BaseHTTPRequestHandler], None]


class OldService:
    """Answers GET below `/api/v0` to whoever has the password, or to anybody."""

    def __init__(self, *, refusal: int = 403, open_to_all: bool = False) -> None:
        self.records: dict[str, Any] = {
            "/hosts": [],
            "/clusters": [],
            "/networks": ["default"],
            "/network/default": {"name": "default", "type": "flannel_etcd", "options": {}},
            # As the reference has it: with a slash, and not without.
            "/containermanagers/": [],
        }
        self.asked: list[str] = []
        self._refusal = refusal
        self._open = open_to_all
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add_host(self, address: str, key: bytes, user: str = "root", source: str = "") -> None:
        """A host, as the reference shows one."""
        record = {
            "address": address,
            "status": "active",
            "os": "atomic",
            "cpus": 4,
            "memory": 11989228,
            "space": 487652,
            "last_check": "2015-12-17T15:48:18.710454",
        }
        self.records["/hosts"].append(record)
        self.records[f"/host/{address}"] = {**record, "source": source}
        self.records[f"/host/{address}/creds"] = {
            "ssh_priv_key": b64encode(key).decode(),
            "remote_user": user,
        }

    def add_manager(self, name: str, kind: str, **options: str) -> None:
        """A container manager."""
        self.records["/containermanagers/"].append(name)
        record = {"name": name, "type": kind, "options": options}
        self.records[f"/containermanager/{name}"] = record

    def add_network(self, name: str, kind: str, **options: str) -> None:
        """A network."""
        self.records["/networks"].append(name)
        self.records[f"/network/{name}"] = {"name": name, "type": kind, "options": options}

    def add_cluster(self, name: str, members: list[str], **more: str) -> None:
        """A cluster, as the reference shows one."""
        hosts = {"total": len(members), "available": len(members), "unavailable": 0}
        record = {"name": name, "status": "ok", "network": "default", "container_manager": ""}
        self.records["/clusters"].append(name)
        self.records[f"/cluster/{name}"] = {**record, **more, "hosts": hosts}
        self.records[f"/cluster/{name}/hosts"] = members

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix(API)
                service.asked.append(path)
                if not service._lets_in(self.headers.get("authorization", "")):
                    say(self, service._refusal, {})
                    return
                found = service.records.get(path) if self.path.startswith(API) else None
                if callable(found):
                    found(self)
                    return
                say(self, 404 if found is None else 200, {} if found is None else found)

            def log_message(self, *_: object) -> None:
                """Nothing: the test reads what it asked for."""

        return Handler

    def _lets_in(self, said: str) -> bool:
        scheme, _, rest = said.partition(" ")
        ours = scheme.lower() == "basic" and b64decode(rest) == f"{USER}:{PASSWORD}".encode()
        return self._open or ours


def say(handler: BaseHTTPRequestHandler, status: int, body: object, *, missing: int = 0) -> None:
    """An answer; the last bytes of it may be missing."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(text) + missing))
    handler.end_headers()
    handler.wfile.write(text)
    handler.close_connection = bool(missing)


def page_of_nonsense(handler: BaseHTTPRequestHandler) -> None:
    """What a proxy may say in its place, with a secret in it."""
    say(handler, 200, b"<html><h1>It works!</h1>\x1b[2J\xff s3cret-of-the-page</html>")


def half_an_answer(handler: BaseHTTPRequestHandler) -> None:
    """It breaks off."""
    say(handler, 200, b'["10.0.0.1", "s3cret-of-the-page', missing=100)


def leads_elsewhere(handler: BaseHTTPRequestHandler) -> None:
    """To where our password should not go."""
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:9/api/v0/hosts?s3cret-of-the-page")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def never_ends(service: OldService) -> Fault:
    """A byte now and then, for longer than anybody waits."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not service.over.wait(0.05):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    return drip
