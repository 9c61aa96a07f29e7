"""The routes of a process that works on hosts, and leaves the API to others."""

from collections.abc import Sequence

from domain.refusal import unavailable
from web.http.replies import Reply
from web.http.requests import Request
from web.routing.route import Route

HERE = ("/healthz", "/readyz", "/metrics")


def leave_to_others(routes: Sequence[Route]) -> list[Route]:
    """The table with all routes answered 503, but for those that tell of this very process."""
    return [
        r if r.path in HERE else Route(r.verb, r.path, r.audience, not_here, r.description)
        for r in routes
    ]


async def not_here(request: Request) -> Reply:
    """Refuse: other processes serve the API."""
    raise unavailable("This process works on hosts alone: ask one that serves the API.")
