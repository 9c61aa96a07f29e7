"""A route of the console: pages are for everybody who may log in, and forms are checked first.

Which role a page or a form takes is said by the routes of the API that it calls.
"""

from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import parse_qsl, unquote

from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from web.authentication.sessions import refuse_forged_form
from web.http.problems import Problem
from web.http.requests import NOBODY, READING, ROUTE_KEY, SHOW_KEY, Request
from web.routing.route import log_in

FIELDS_MAX = 2_000
"""A form that marks all hosts of a page has one for each."""
TOKEN_FIELD = "csrf_token"  # noqa: S105 - the name of a field

Form = dict[str, list[str]]
PageHandler = Callable[[Request], Awaitable[Response]]
FormHandler = Callable[[Request, Form], Awaitable[Response]]
Show = Callable[[Request, Problem], Response]


class PageRoute(StarletteRoute):
    """What a page shows; `show` tells of problems as a page. `is_open`: also to strangers."""

    verb: Literal["GET", "POST"] = "GET"

    def __init__(
        self, path: str, handler: PageHandler, show: Show, *, is_open: bool = False
    ) -> None:
        super().__init__(path, handler, methods=[self.verb])
        self._handler = handler
        self._show = show
        self._is_open = is_open

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for this path."""
        scope[ROUTE_KEY] = self.path
        scope[SHOW_KEY] = self._show
        scope["user"] = NOBODY if self._is_open else await log_in(scope)
        if scope["method"] not in (self.methods or ()):
            raise Problem("verb", f"This path takes {self.verb}.")
        scope["path_params"] = {key: unquote(value) for key, value in scope["path_params"].items()}
        response = await self.answer(Request(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """What the handler answers."""
        return await self._handler(request)


class FormRoute(PageRoute):
    """What a form does. It has to come from a page of this service."""

    verb: Literal["GET", "POST"] = "POST"

    def __init__(
        self, path: str, handler: FormHandler, show: Show, *, is_open: bool = False
    ) -> None:
        async def no_page(request: Request) -> Response:
            raise Problem("verb", "This path takes POST.")

        super().__init__(path, no_page, show, is_open=is_open)
        self._does = handler

    async def answer(self, request: Request) -> Response:
        """What was done with the form."""
        form = await form_of(request)
        refuse_forged_form(request.scope, one(form, TOKEN_FIELD).encode())
        return await self._does(request, form)


async def form_of(request: Request) -> Form:
    """The fields of a form, as browsers send those without files. Raises `Problem`."""
    if request.method in READING:
        return {}
    try:
        text = (await request.body()).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise Problem("invalid", "This is no form, or has too many fields.") from None
    form: Form = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


def one(form: Form, name: str) -> str:
    """The value of a field, without the spaces around it; "" where it is not there."""
    return form.get(name, [""])[0].strip()
