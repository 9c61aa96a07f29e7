"""`commissaire serve` with authentication compiled out: for measuring what it costs, and no more.

    python -m bench.open_service serve …

Nothing that the product can be told does this.
"""

from typing import Final

from starlette.responses import Response

import web.app
from runners.cli.main import main
from web.authentication.authentication import Identity
from web.front import Front
from web.http.requests import Request

ANYBODY: Final = Identity("admin", "admin")


class OpenFront(Front):
    """The front without the question who asks and whether they may."""

    async def _carry_out(self, request: Request) -> Response:
        scope = request.scope
        found = self.routes.find(scope["raw_path"])
        request.route = found.path or ""
        request.identity = ANYBODY
        scope["path_params"] = found.params
        return await found.route(scope["method"]).handler(request)


if __name__ == "__main__":
    web.app.Front = OpenFront  # type: ignore[attr-defined] # no other way, on purpose
    main()
