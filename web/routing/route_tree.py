"""Which handler a path and a verb lead to, and who may call it.

Not Starlette's router: it matches paths after decoding, so that a `%2F` in a name would be a
separator, and it tries one route after the other.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import unquote

from starlette.responses import Response

from web.authentication.authentication import ROLES, Role
from web.http.problems import KINDS, Problem
from web.http.requests import Request
from web.routing.description import Description

Verb = Literal["GET", "PUT", "DELETE"]
Audience = Role | Literal["anyone"]
Handler = Callable[[Request], Awaitable[Response]]

PRIVATE = "api"
"""What is below this folder tells nothing to strangers, not even what is there."""


@dataclass(frozen=True)
class Route:
    """One row of the table: what a verb does with a path, and the least role that it takes.

    The first sentence of the handler's docstring says what it does, also to clients.
    """

    verb: Verb
    path: str
    audience: Audience
    handler: Handler
    description: Description

    def __post_init__(self) -> None:
        """Refuse a row that would leave a door open."""
        if self.verb not in get_args(Verb):
            raise ValueError(f"{self.path}: there is no verb {self.verb!r}")
        if self.audience not in (*ROLES, "anyone"):
            raise ValueError(f"{self.verb} {self.path} needs a role, not {self.audience!r}")
        if self.audience == "anyone" and self.is_api:
            raise ValueError(f"{self.verb} {self.path}: nothing under /api is for anyone")
        if not self.summary or not KINDS.keys() >= set(self.description.refuses):
            raise ValueError(f"{self.verb} {self.path} is not described")

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return (self.handler.__doc__ or "").partition("\n\n")[0].strip()

    @property
    def is_private(self) -> bool:
        """Whether it asks who is there."""
        return self.audience != "anyone"

    @property
    def is_api(self) -> bool:
        """Whether it is part of the API, beside which there are pages and what monitors ask."""
        return self.segments[0] == PRIVATE

    @property
    def segments(self) -> list[str]:
        """The path in pieces; a piece in braces stands for any text."""
        return self.path.split("/")[1:]


@dataclass
class Node:
    """A place in the tree of paths: what comes next, and what can be done here."""

    names: dict[str, "Node"] = field(default_factory=dict)
    any_name: "Node | None" = None
    keys: tuple[str, ...] = ()
    path: str = ""
    """As in the table; "" where nothing can be done here."""
    by_verb: dict[str, Route] = field(default_factory=dict)
    is_private: bool = False


NOWHERE = Node()
"""Where a path leads that is not in the table."""


class Found:
    """Where a path leads."""

    __slots__ = ("_by_verb", "params", "path", "private")

    def __init__(self, node: Node, params: dict[str, str], private: bool) -> None:
        self._by_verb = node.by_verb
        self.path = node.path
        self.params = params
        self.private = private

    def route(self, verb: str) -> Route:
        """What the verb does there. Raises `Problem`: 404 or 405."""
        route = self._by_verb.get(verb)
        if route is not None:
            return route
        if not self._by_verb:
            raise Problem("not_found", "There is nothing at this path.")
        allowed = ", ".join(sorted(self._by_verb))
        raise Problem("verb", f"This path takes {allowed}.", headers=[(b"allow", allowed.encode())])


class Routes:
    """All routes of the service, as a tree of path segments."""

    def __init__(self, table: Sequence[Route]) -> None:
        self.table = tuple(table)
        self._root = Node()
        for route in table:
            self._add(route)

    def find(self, raw_path: bytes) -> Found:
        """Where a path, as the client sent it, leads.

        A slash at its end does not matter, and several at its start are one.
        """
        path = "/" + raw_path.decode("ascii", "replace").removesuffix("/").lstrip("/")
        segments = path.split("/")[1:]
        if "%" in path:
            # Each segment once, after splitting. Invalid UTF-8 becomes U+FFFD: no name has that.
            segments = [unquote(segment) for segment in segments]
        private = bool(segments) and segments[0] == PRIVATE
        node = self._root
        values = []
        for segment in segments:
            following = node.names.get(segment)
            if following is None:
                if node.any_name is None or not segment:
                    return Found(NOWHERE, {}, private)
                following = node.any_name
                values.append(segment)
            node = following
        private = private or node.is_private
        return Found(node, dict(zip(node.keys, values, strict=True)), private)

    def _add(self, route: Route) -> None:
        node = self._root
        keys = []
        for segment in route.segments:
            if segment.startswith("{"):
                keys.append(segment.strip("{}"))
                node.any_name = node.any_name or Node()
                node = node.any_name
            else:
                node = node.names.setdefault(segment, Node())
        if route.verb in node.by_verb or node.keys not in ((), tuple(keys)):
            raise ValueError(f"{route.verb} {route.path} is in the table twice")
        node.keys = tuple(keys)
        node.path = route.path
        node.by_verb[route.verb] = route
        node.is_private = node.is_private or route.is_private
        if route.verb == "GET":
            # The server sends the head of the answer only.
            node.by_verb["HEAD"] = route
