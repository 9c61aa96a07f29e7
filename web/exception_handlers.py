"""What a request is answered with where its handler raised something: always a problem."""

from collections.abc import Callable
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from domain.log.engine import OperationalError, Stopped, StorageFull, TakesNoWrites, Unusable
from domain.refusal import Refusal
from web.authentication.authentication import (
    Forbidden,
    LogInsBusy,
    TooManyFailures,
    Unauthenticated,
)
from web.authentication.sessions import SessionEnded
from web.http.problems import Problem
from web.http.replies import Header
from web.http.request_counts import LoginRefusal, RequestCounts
from web.http.requests import SHOW_KEY
from web.http.requests import Request as OurRequest

CAUSES: dict[type[Exception], LoginRefusal] = {
    Unauthenticated: "missing",
    Forbidden: "wrong",
    TooManyFailures: "too_many",
    LogInsBusy: "busy",
}


def exception_handlers(request_counts: RequestCounts) -> dict[type[Exception], ExceptionHandler]:
    """The exception handlers of the application. Log-ins that are refused are counted."""

    async def answer(request: Request, error: Exception) -> Response:
        for kind, cause in CAUSES.items():
            if isinstance(error, kind):
                request_counts.refused_logins[cause] += 1
        problem = problem_of(error)
        show: Callable[[OurRequest, Problem], Response] | None = request.scope.get(SHOW_KEY)
        if show is None:
            return problem.reply()
        return show(OurRequest(request.scope, request.receive), problem)

    known = (Problem, Refusal, *CAUSES, StorageFull, Stopped, OperationalError)
    return dict.fromkeys(known, cast("ExceptionHandler", answer))


def problem_of(error: Exception) -> Problem:
    """What clients are told of an exception that is known."""
    match error:
        case Problem():
            return error
        case Refusal():
            return Problem.of(error)
        case Unauthenticated():
            asked: list[Header] = [
                (b"www-authenticate", challenge.encode()) for challenge in error.challenges
            ]
            return Problem("unauthenticated", str(error), headers=asked)
        case SessionEnded():
            return Problem("session_ended", str(error))
        case Forbidden():
            return Problem("forbidden", str(error))
        case TooManyFailures():
            wait: Header = (b"retry-after", str(error.retry_after_s).encode())
            return Problem("too_many_failures", str(error), headers=[wait])
        case LogInsBusy() | Stopped():
            return Problem("unavailable", str(error))
        case StorageFull():
            return Problem("storage_full", "The disk is full.")
        case Unusable():
            return Problem("unavailable", f"The database refuses what it is asked ({error}).")
        case TakesNoWrites():
            return Problem("unavailable", f"The database takes no writes ({error}): try again.")
        case _:  # OperationalError
            return Problem("unavailable", "The database cannot be reached: try again.")
