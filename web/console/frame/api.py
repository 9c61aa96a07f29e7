"""The API as pages ask it: its own handlers are called, and nothing is sent.

Each page says the verb and the path that a program would; so the table of routes alone says which
role that takes, and what a page does can be done with curl.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.responses import Response
from starlette.types import Scope

from web.http.requests import Request
from web.routing.route import Route, Verb

V0 = "/api/v0"
KEPT = frozenset(
    {b"host", b"origin", b"authorization", b"cookie", b"x-forwarded-proto", b"user-agent"}
)
"""The headers that go on to the handler; all others are about the page."""

# Any: values of JSON.
Query = Mapping[str, str] | Sequence[tuple[str, str]]
Body = Mapping[str, Any]


class Api:
    """The routes of the API, by verb and path."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = {(route.verb, route.path): route for route in routes}

    async def get(self, request: Request, path: str, query: Query = (), **names: str) -> Any:
        """What a GET of `/api/v0` answers, as JSON. Raises what its handler raises."""
        reply = await self.call(request, "GET", path, names, query)
        return orjson.loads(reply.body)

    async def page(
        self, request: Request, path: str, query: Query = (), **names: str
    ) -> tuple[Any, str]:
        """The same of a list in pages, and after which place the next one begins; "" at the end."""
        reply = await self.call(request, "GET", path, names, query)
        link = reply.headers.get("link", "")
        found = re.search(r"[?&]after=([^&>]*)", link)
        return orjson.loads(reply.body), found[1] if found else ""

    async def change(
        self,
        request: Request,
        verb: Verb,
        path: str,
        body: Body | None = None,
        note: str = "",
        **names: str,
    ) -> Any:
        """Have a change made, and be told what its handler answers. Raises what that raises."""
        reply = await self.call(request, verb, path, names, (), body, note)
        return orjson.loads(reply.body)

    async def call(
        self,
        request: Request,
        verb: Verb,
        path: str,
        names: Mapping[str, str],
        query: Query = (),
        body: Body | None = None,
        note: str = "",
    ) -> Response:
        """The answer of a route, once whoever asks has the role that it takes."""
        route = self._routes[verb, V0 + path]
        scope = _inner(request.scope, verb, filled(route.path, names), query, note)
        scope["path_params"] = dict(names)
        if route.is_private:
            await route.admit(scope, request.identity)
        inner = Request(scope, request.receive)
        inner._body = b"" if body is None else orjson.dumps(body)
        return await route.handler(inner)


def filled(path: str, names: Mapping[str, str]) -> str:
    """The path with these names in it."""
    return re.sub(r"{(\w+)}", lambda found: quote(names[found[1]], safe=""), path)


def _inner(outer: Scope, verb: str, path: str, query: Query, note: str) -> Scope:
    pairs = query.items() if isinstance(query, Mapping) else query
    headers = [(name, value) for name, value in outer["headers"] if name in KEPT]
    if note:
        headers.append((b"commissaire-note", note.encode()))
    return {
        **outer,
        "method": verb,
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(list(pairs)).encode(),
        "headers": headers,
    }
