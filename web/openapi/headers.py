"""Headers of requests and answers, as `/openapi.json` has them for all routes or many.

Those of one route stand beside it, in the table of routes. `Accept` and `Authorization` are no
parameters of OpenAPI: media types and security schemes say what is in them.
"""

from collections.abc import Iterable
from typing import Any

from web.http.requests import NOTE_CHARACTERS_MAX
from web.routing.route import Route

# Any: a JSON document.
Schema = dict[str, Any]

HEADERS: Schema = {
    "X-Request-ID": {
        "description": "The name of this request in the log: the client's own, where it is sane.",
        "schema": {"type": "string"},
    },
    "Commissaire-Position": {
        "description": "Of GET: the position of the log that the answer is as of, to go on from"
        " with `/events/stream`.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "ETag": {
        "description": "A weak validator, for `If-None-Match`.",
        "schema": {"type": "string", "pattern": '^W/".*"$'},
    },
    "Retry-After": {
        "description": "When to come back, in seconds.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "Which credentials are understood.",
        "schema": {"type": "string"},
    },
}
SAID_WITH = {
    404: "Commissaire-Position",
    429: "Retry-After",
    503: "Retry-After",
    401: "WWW-Authenticate",
}

REQUEST_ID = (
    "X-Request-ID",
    "What this request is called in the log, where it is 1 to 64 of `A-Za-z0-9._-`.",
    "",
)
NOTE = (
    "Commissaire-Note",
    "Why, in a line: kept with the events of this change. Other characters in UTF-8.",
    f"^[ -~]{{0,{NOTE_CHARACTERS_MAX}}}$",
)
IF_NONE_MATCH = (
    "If-None-Match",
    "An `ETag` that came before: 304 where nothing has changed since.",
    "",
)


def taken(route: Route) -> Iterable[Schema]:
    """The headers that a route takes as many others do."""
    if route.is_api:
        yield _parameter(*REQUEST_ID)
    if route.is_private and route.verb != "GET":
        yield _parameter(*NOTE)
    if route.description.is_tagged:
        yield _parameter(*IF_NONE_MATCH)


def given(route: Route) -> list[str]:
    """The headers that a route answers with as many others do, where it has done what it does."""
    tag = ["ETag"] if route.description.is_tagged else []
    return [*tag, "Commissaire-Position"] if route.is_api and route.verb == "GET" else tag


def references(*names: str) -> Schema:
    """Headers of an answer; each has a name for its request."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *names)}


def _parameter(name: str, description: str, pattern: str) -> Schema:
    schema = {"type": "string"} | ({"pattern": pattern} if pattern else {})
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": schema,
    }
