"""The middleware around every request: names it, finds its client, counts it, and logs it.

It answers for errors that `web.exception_handlers` does not know. Who is asking is checked later,
by the route (`web/routing/route.py`).
"""

import asyncio
import traceback
from collections.abc import Callable
from pathlib import PurePath
from time import perf_counter
from urllib.parse import quote, unquote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.http.clients import Clients
from web.http.problems import Problem
from web.http.request_counts import UNKNOWN_PATH
from web.http.requests import (
    ID_KEY,
    NOBODY,
    ORIGIN_KEY,
    POSITION_KEY,
    READING,
    REQUEST_KEY,
    ROUTE_KEY,
    RequestIds,
)
from web.known_answers import KnownAnswers
from web.request_log import RequestLog, path_shown

CLIENT_CLOSED_STATUS = 499
"""What the log says of a request whose client left before it had sent everything."""
FRAMES_MAX = 6
API = "/api/"
POSITIONED = (200, 206, 304, 404)
"""Answers that say of which position of the log they are: also that nothing is there."""


class RequestMiddleware:
    """Names a request and its client, counts it, logs it, and answers for what nobody caught."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        log: RequestLog,
        clients: Clients,
        position: Callable[[], int],
        known: KnownAnswers | None,
    ) -> None:
        self._app = app
        self._log = log
        self._clients = clients
        self._position = position
        self._known = known
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have one request answered."""
        if scope["type"] != "http":
            raise ValueError(f"the server must not ask for {scope['type']}")
        started = perf_counter()
        origin = self._clients.of(scope)
        # From here on, whoever asks is told who it was: limits count it, the log names it.
        scope["client"] = (origin.address, 0) if origin.address else None
        scope["path"] = matched_path(scope["raw_path"])
        scope[ORIGIN_KEY] = origin
        request_id = scope[ID_KEY] = self._ids.of(scope)
        is_read = scope["method"] in READING
        if is_read:
            scope[POSITION_KEY] = self._position()  # before anything is read: nothing is missed
        known = self._known if REQUEST_KEY in scope else None
        state = known.state() if known is not None else None
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
                if is_read and status in POSITIONED and scope["path"].startswith(API):
                    position = b"%d" % scope[POSITION_KEY]
                    message["headers"].append((b"commissaire-position", position))
            await send(message)

        try:
            try:
                await self._app(scope, receive, send_named)
                if known is not None and state is not None:
                    known.keep(scope, state)
            except ClientDisconnect:
                pass  # nobody is there to be told
            except (Exception, asyncio.CancelledError) as error:
                if status:
                    raise  # too late for another answer
                await self._last_resort(request_id, error).reply()(scope, receive, send_named)
        finally:
            seconds = perf_counter() - started
            status = status or CLIENT_CLOSED_STATUS
            route = scope.get(ROUTE_KEY, UNKNOWN_PATH)
            self._log.tell(
                route,
                scope["method"],
                path_shown(scope["raw_path"]),
                status,
                seconds,
                scope.get("user", NOBODY).user,
                request_id,
                origin.address,
            )

    def _last_resort(self, request_id: str, error: BaseException) -> Problem:
        if isinstance(error, asyncio.CancelledError):
            # The server is stopping and has waited for us long enough. The task ends with this.
            detail = "The service stopped before it knew the outcome: ask again in a moment."
            return Problem("unavailable", detail)
        self._log_defect(request_id, error)
        if isinstance(error, MemoryError):
            return Problem("unavailable", "The service has no memory left for this request.")
        return Problem("defect", f"It is in the service's log as request {request_id}.")

    def _log_defect(self, request_id: str, defect: BaseException) -> None:
        # Where it happened, not the values that it happened with: one may be a secret.
        frames = traceback.extract_tb(defect.__traceback__)[-FRAMES_MAX:]
        places = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames]
        self._log.write(
            "request.failed",
            level="error",
            request_id=request_id,
            error=type(defect).__name__,
            where=" > ".join(places),
        )


def matched_path(raw_path: bytes) -> str:
    """The path that routes are matched with, each segment encoded in one way.

    A slash at its end does not matter, and several at its start are one. The server's own `path`
    is decoded, so that a `%2F` in a name would be a separator.
    """
    path = "/" + raw_path.decode("ascii", "replace").removesuffix("/").lstrip("/")
    if "%" in path:
        path = "/".join(quote(unquote(segment), safe="") for segment in path.split("/"))
    return path
