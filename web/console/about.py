"""`/about`: which version this is, and whether every part of it can do its work."""

from importlib.metadata import version
from platform import python_version

import orjson
from starlette.responses import Response

from web.console.commands import commands
from web.console.pages import Pages
from web.http.requests import Request
from web.routing.route import Handler


class About:
    """The page of the service itself; `readyz` is the handler of `/readyz`."""

    def __init__(self, readyz: Handler, pages: Pages) -> None:
        self._readyz = readyz
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """Versions and readiness. Why a part is not ready is for those whom `/readyz` tells it."""
        reply = await self._readyz(request)
        readiness = orjson.loads(reply.body)
        return self._pages.show(
            request,
            "about.html",
            readiness=readiness,
            python=python_version(),
            versions={name: version(name) for name in ("asyncssh", "starlette", "pydantic")},
            commands=commands(request, "commctl version", "/openapi.json"),
        )
