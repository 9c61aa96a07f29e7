"""The routes of a process that works on hosts, and leaves the API to others."""

from collections.abc import Sequence
from dataclasses import replace

from domain.refusal import unavailable
from web.http.replies import Reply
from web.http.requests import Request
from web.routing.route_tree import Route

HERE = ("/healthz", "/readyz", "/metrics")


def leave_to_others(routes: Sequence[Route]) -> list[Route]:
    """The same table, where all but what tells of this very process is answered 503."""
    return [r if r.path in HERE else replace(r, handler=not_here) for r in routes]


async def not_here(request: Request) -> Reply:
    """Say that the API is elsewhere."""
    raise unavailable("This process works on hosts alone: ask one that serves the API.")
