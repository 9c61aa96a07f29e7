"""What went wrong, as clients are told: `application/problem+json` (RFC 9457).

Only here does a kind of refusal have a status code.
"""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from domain.refusal import Refusal
from web.http.replies import INERT, NO_STORE, NOSNIFF, Header, Reply

RETRY_AFTER_S = 2
"""When to come back to a service that is busy or whose database is away."""

PROBLEM_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"application/problem+json"),
    NO_STORE,
    NOSNIFF,
    INERT,
)
CLOSE: Header = (b"connection", b"close")


class Kind(NamedTuple):
    """What all problems of one kind have in common."""

    status: int
    title: str
    headers: tuple[Header, ...] = ()


RETRY_AFTER: Header = (b"retry-after", str(RETRY_AFTER_S).encode())

KINDS: dict[str, Kind] = {
    # Refusals of commands (`domain.refusal`)
    "invalid": Kind(400, "The request is wrong"),
    "not_found": Kind(404, "There is no such thing"),
    "conflict": Kind(409, "The request contradicts the state"),
    "stale": Kind(412, "The state is another by now"),
    "unavailable": Kind(503, "Not possible at this moment", (RETRY_AFTER,)),
    "storage_full": Kind(507, "There is no room to store it"),
    # Refusals of HTTP itself
    "unauthenticated": Kind(401, "Credentials are missing"),
    "forbidden": Kind(403, "Not allowed"),
    "session_ended": Kind(403, "The session has ended"),
    "verb": Kind(405, "This path does not take this verb"),
    "timeout": Kind(408, "The request came too slowly", (CLOSE,)),
    "body_size": Kind(413, "The body is too large"),
    "range": Kind(416, "There is no such part of it"),
    "too_many_failures": Kind(429, "Too many failed log-ins"),
    "head_size": Kind(431, "The head of the request is too large", (CLOSE,)),
    "defect": Kind(500, "The service made a mistake"),
    "crowded": Kind(503, "Too many connections", (RETRY_AFTER, CLOSE)),
    "syntax": Kind(400, "This is not HTTP", (CLOSE,)),
}
"""Every kind of problem; `type` is `urn:commissaire:problem:` and the kind with hyphens."""


class KeyFault(NamedTuple):
    """What is wrong with one key of a body, or one parameter of a query."""

    key: str
    message: str


class Problem(Exception):
    """The answer to a request that is not carried out."""

    def __init__(
        self,
        kind: str,
        detail: str,
        errors: Sequence[KeyFault] = (),
        headers: Sequence[Header] = (),
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = headers

    @classmethod
    def of(cls, refusal: Refusal) -> "Problem":
        """The problem that tells clients of a refusal."""
        errors = [KeyFault(refusal.key, refusal.sentence)] if refusal.key else []
        return cls(refusal.kind, refusal.sentence, errors)

    def record(self) -> dict[str, object]:
        """The problem's JSON object."""
        kind = KINDS[self.kind]
        problem: dict[str, object] = {
            "type": f"urn:commissaire:problem:{self.kind.replace('_', '-')}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
        }
        if self.errors:
            problem["errors"] = [error._asdict() for error in self.errors]
        return problem

    def reply(self) -> Reply:
        """The HTTP answer with the problem's JSON."""
        kind = KINDS[self.kind]
        headers = (*PROBLEM_HEADERS, *kind.headers, *self.headers)
        return Reply(orjson.dumps(self.record()), kind.status, headers)
