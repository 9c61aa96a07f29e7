"""`/login` and `/me`: who you are here, and for how long."""

from functools import partial

from starlette.responses import Response

from web.authentication.sessions import session_of
from web.console.frame.api import Api
from web.console.frame.page_route import Form, one
from web.console.frame.pages import Pages, local, see_other
from web.http.problems import KINDS, Problem
from web.http.query_string import parameters
from web.http.requests import SHOW_KEY, Request


class Accounts:
    """The page of oneself, log-in and log-out."""

    def __init__(self, api: Api, pages: Pages) -> None:
        self._api = api
        self._pages = pages

    async def show_login(self, request: Request) -> Response:
        """Asks who is there."""
        given = parameters(request.scope["query_string"], ("next", "ended"))
        ended = "The session has ended: log in again, and go on." if "ended" in given else ""
        return self._login(request, local(given.get("next", "/")), ended)

    async def log_in(self, request: Request, form: Form) -> Response:
        """Opens a session, and goes on to the page that was asked for."""
        target = local(one(form, "next"))
        request.scope[SHOW_KEY] = partial(self._refused, target=target)
        body = {"user": one(form, "user"), "password": form.get("password", [""])[0]}
        opened = await self._api.call(request, "POST", "/sessions", {}, body=body)
        reply = see_other(target)
        reply.headers["set-cookie"] = opened.headers["set-cookie"]
        return reply

    async def log_out(self, request: Request, form: Form) -> Response:
        """Ends the session."""
        session = session_of(request.scope)
        reply = see_other("/login")
        if session is not None:
            ended = await self._api.call(
                request, "DELETE", "/session/{session}", {"session": session.id}
            )
            reply.headers["set-cookie"] = ended.headers["set-cookie"]
        return reply

    async def show(self, request: Request) -> Response:
        """Who asks, what they may do, and where they are logged in."""
        return self._pages.show(
            request,
            "me.html",
            account=await self._api.get(request, "/me"),
            sessions=await self._api.get(request, "/sessions"),
        )

    async def end_session(self, request: Request, form: Form) -> Response:
        """Ends another session."""
        name = request.path_params["session"]
        await self._api.change(request, "DELETE", "/session/{session}", session=name)
        return see_other("/me")

    def _login(self, request: Request, target: str, said: str, status: int = 200) -> Response:
        return self._pages.show(request, "login.html", status, target=target, said=said)

    def _refused(self, request: Request, problem: Problem, target: str) -> Response:
        return self._login(request, target, problem.detail, KINDS[problem.kind].status)
