"""A service whose answers a test writes."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

FORBIDDEN = 403, {"type": "urn:commissaire:problem:forbidden", "detail": "That is not allowed."}

Answer = tuple[int, object] | None
"""A status and JSON; None where the connection breaks."""


class Played:
    """Answers by `VERB path?query`, or without the query; what it has no answer for is 404."""

    def __init__(self, answers: Mapping[str, Answer | Callable[[], Answer]]) -> None:
        self.asked: list[tuple[str, Any]] = []
        """Each request with its body."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answers, self.asked))
        self._thread = threading.Thread(target=self._server.serve_forever, name="played")
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(
    answers: Mapping[str, Answer | Callable[[], Answer]], asked: list[tuple[str, Any]]
) -> type[BaseHTTPRequestHandler]:
    none = 404, {"type": "urn:commissaire:problem:not-found", "detail": "There is none."}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            line = f"{self.command} {self.path.removeprefix('/api/v0/')}"
            asked.append((line, json.loads(sent) if sent else None))
            found = answers.get(line, answers.get(line.partition("?")[0], none))
            answer = found() if callable(found) else found
            if answer is None:
                return  # HTTP/1.0: the connection ends
            body = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            form = "application/json" if answer[0] < 400 else "application/problem+json"
            self.send_header("Content-Type", form)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Commissaire-Position", "7")
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - as the library names them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    return Handler
