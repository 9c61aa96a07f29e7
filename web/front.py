"""The door: every request comes in here, and every answer leaves here.

It names the request, finds the route, asks who is there and whether they may, calls the handler,
turns what went wrong into a problem, and writes one line in the log.
"""

import asyncio
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from time import perf_counter
from typing import Literal, Protocol

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.log.engine import OperationalError, Stopped, StorageFull
from domain.refusal import Refusal
from web.authentication.authentication import (
    Authentication,
    Forbidden,
    LogInsBusy,
    TooManyFailures,
    Unauthenticated,
)
from web.authentication.tokens import without_tokens
from web.http.clients import Clients
from web.http.problems import Problem
from web.http.query_string import refuse_unknown
from web.http.replies import Header
from web.http.request_counts import UNKNOWN_PATH, RequestCounts
from web.http.requests import Limits, Request, RequestIds
from web.routing.route_tree import Routes

CLIENT_CLOSED_STATUS = 499
"""What the log says of a request whose client left before it had sent everything."""
FRAMES_MAX = 6
READING = ("GET", "HEAD")
"""The methods that change nothing: the body of such a request is not waited for."""


class ServiceLogWrite(Protocol):
    """Where log lines go."""

    def __call__(
        self, event: str, /, level: Literal["info", "error"] = "info", **fields: object
    ) -> None:
        """Write a line: what happened, and the fields that tell more."""
        ...


class Front:
    """The ASGI application."""

    def __init__(
        self,
        routes: Routes,
        authentication: Authentication,
        *,
        log: ServiceLogWrite,
        log_requests: bool,
        limits: Limits,
        clients: Clients,
        request_counts: RequestCounts,
        now: Callable[[], str],
    ) -> None:
        self.routes = routes
        self._authentication = authentication
        self._log = log
        self._log_requests = log_requests
        self._limits = limits
        self._clients = clients
        self._request_counts = request_counts
        self._now = now
        self._ids = RequestIds()
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="aside")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise ValueError(f"the server must not ask for {scope['type']}")
        started = perf_counter()
        origin = self._clients.of(scope)
        # From here on, whoever asks is told who it was: limits count it, the log names it.
        scope["client"] = (origin.address, 0) if origin.address else None
        request = Request(
            scope,
            receive,
            self._ids.of(scope),
            origin,
            self._limits,
            self._now,
            self._aside,
            self._authentication.renew,
        )
        status = CLIENT_CLOSED_STATUS
        try:
            response = await self._answer(request)
            status = response.status_code
            response.raw_headers.append((b"x-request-id", request.id.encode()))
            await response(scope, receive, send)
        except ClientDisconnect:
            pass  # nobody is there to be told
        finally:
            seconds = perf_counter() - started
            self._request_counts.add(request.route, scope["method"], status, seconds)
            if self._log_requests:
                self._log_request(request, status, seconds)

    async def _answer(self, request: Request) -> Response:
        """What the handler says, or the problem that kept it from saying it."""
        try:
            return await self._carry_out(request)
        except Problem as problem:
            return problem.reply()
        except Refusal as refusal:
            return Problem.of(refusal).reply()
        except Unauthenticated as error:
            self._request_counts.refused_logins["missing"] += 1
            return Problem("unauthenticated", str(error), headers=_challenges(error)).reply()
        except Forbidden as error:
            self._request_counts.refused_logins["wrong"] += 1
            return Problem("forbidden", str(error)).reply()
        except TooManyFailures as error:
            self._request_counts.refused_logins["too_many"] += 1
            wait: Header = (b"retry-after", str(error.retry_after_s).encode())
            return Problem("too_many_failures", str(error), headers=[wait]).reply()
        except LogInsBusy as error:
            self._request_counts.refused_logins["busy"] += 1
            return Problem("unavailable", str(error)).reply()
        except StorageFull:
            return Problem("storage_full", "The disk is full.").reply()
        except Stopped as stopped:
            return Problem("unavailable", str(stopped)).reply()
        except OperationalError:
            return Problem("unavailable", "The database cannot be reached: try again.").reply()
        except ClientDisconnect:
            raise
        except asyncio.CancelledError:
            # The server is stopping and has waited for us long enough. The task ends with this.
            detail = "The service stopped before it knew the outcome: ask again in a moment."
            return Problem("unavailable", detail).reply()
        except Exception as defect:  # noqa: BLE001 - the last place that can answer
            self._log_defect(request, defect)
            detail = f"It is in the service's log as request {request.id}."
            return Problem("defect", detail).reply()

    async def _carry_out(self, request: Request) -> Response:
        scope = request.scope
        found = self.routes.find(scope["raw_path"])
        request.route = found.path or UNKNOWN_PATH
        if found.private:
            # Nearly all are remembered: a question that never waits saves the others a coroutine.
            known = self._authentication.remembered(scope)
            request.identity = known or await self._authentication.authenticate(scope)
        route = found.route(scope["method"])
        if route.audience != "anyone" and not request.identity.may_act_as(route.audience):
            raise Problem(
                "forbidden",
                f"This takes the role '{route.audience}'; {request.identity.user} has the role"
                f" '{request.identity.role}'.",
            )
        scope["path_params"] = found.params
        if scope["query_string"] and route.is_api:
            refuse_unknown(scope["query_string"], route.description.query)
        if scope["method"] not in READING:
            # Nothing is decided before all that was announced is there, whatever the handler reads.
            await request.body()
        return await route.handler(request)

    def _log_request(self, request: Request, status: int, seconds: float) -> None:
        scope = request.scope
        self._log(
            "request",
            method=scope["method"],
            path=without_tokens(scope["raw_path"]).decode("ascii", "replace"),
            status=status,
            ms=round(seconds * 1000, 2),
            user=request.identity.user,
            request_id=request.id,
            client=request.origin.address,
        )

    def _log_defect(self, request: Request, defect: Exception) -> None:
        # Where it happened, not the values that it happened with: one may be a secret.
        frames = traceback.extract_tb(defect.__traceback__)[-FRAMES_MAX:]
        places = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames]
        self._log(
            "request.failed",
            level="error",
            request_id=request.id,
            error=type(defect).__name__,
            where=" > ".join(places),
        )


def _challenges(error: Unauthenticated) -> list[Header]:
    return [(b"www-authenticate", challenge.encode()) for challenge in error.challenges]
