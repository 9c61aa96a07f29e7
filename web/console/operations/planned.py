"""`/planned`: which windows are open, and when schedules fire next."""

from starlette.responses import Response

from web.console.frame.api import Api
from web.console.frame.commands import commands
from web.console.frame.pages import Pages
from web.http.requests import Request


class Planned:
    """The page of what is planned."""

    def __init__(self, api: Api, pages: Pages) -> None:
        self._api = api
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """All windows and schedules."""
        return self._pages.show(
            request,
            "planned.html",
            windows=await self._api.get(request, "/windows"),
            schedules=await self._api.get(request, "/schedules"),
            commands=commands(request, ("schedule", "list"), "/schedules"),
        )
