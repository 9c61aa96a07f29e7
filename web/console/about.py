"""`/about`: which version this is, and whether every part of it can do its work."""

from importlib.metadata import version
from platform import python_version

import orjson
from starlette.responses import Response

from projections.rebuilding.on_demand import Verifying
from web.console.frame.commands import commands
from web.console.frame.page_route import Form
from web.console.frame.pages import Pages, see_other
from web.http.requests import Request, not_allowed
from web.routing.route import Handler


class About:
    """The page of the service itself; `readyz` is the handler of `/readyz`."""

    def __init__(self, readyz: Handler, pages: Pages, verifying: Verifying) -> None:
        self._readyz = readyz
        self._pages = pages
        self._verifying = verifying

    async def show(self, request: Request) -> Response:
        """Versions and readiness. Why a part is not ready is for those whom `/readyz` tells it."""
        reply = await self._readyz(request)
        readiness = orjson.loads(reply.body)
        return self._pages.show(
            request,
            "about.html",
            readiness=readiness,
            verified=self._verifying.last,
            python=python_version(),
            versions={name: version(name) for name in ("asyncssh", "starlette", "pydantic")},
            commands=commands(request, ("version",), "/openapi.json"),
        )

    async def verify(self, request: Request, form: Form) -> Response:
        """Have the read models held against the log; for administrators."""
        if not request.identity.may_act_as("admin"):
            raise not_allowed(request.identity, "admin")
        self._verifying.begin()
        return see_other("/about")
