"""`commissaire serve` with authentication compiled out: for measuring what it costs, and no more.

    python -m bench.anchors.open_service serve …

Nothing that the product can be told does this.
"""

from starlette.types import Receive, Scope, Send

from runners.cli.main import main
from web.http.requests import ROUTE_KEY, Request
from web.routing.route import Route


async def handle_without_asking(route: Route, scope: Scope, receive: Receive, send: Send) -> None:
    """`Route.handle` without the question who asks and whether they may."""
    scope[ROUTE_KEY] = route.path
    response = await route.handler(Request(scope, receive))
    await response(scope, receive, send)


if __name__ == "__main__":
    Route.handle = handle_without_asking  # type: ignore[method-assign,assignment] # no other way, on purpose
    main()
