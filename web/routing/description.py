"""What a route takes and answers, said beside it in the table of routes.

`/openapi.json` is made from this and from the models that parse, so there is no second table.
What every route may answer (401, 403, 503 …) is not said here: `web/openapi/document.py` adds it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from web.schemas.records import Nothing

JSON_TYPE = "application/json"
PLAIN_TEXT = "text/plain; charset=utf-8"

# Any: a model, or an annotation such as `list[Name]`, as pydantic takes it.
Shape = Any


@dataclass(frozen=True)
class Content:
    """One answer: its shape, its media type, and further headers with what each says."""

    shape: Shape
    media_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    also: str = ""
    """Another media type, for those who accept it: a stream of events."""
    done: str = ""
    """What was done, where this is answered; of a GET, its route says what is shown."""


@dataclass(frozen=True)
class Description:
    """What a route takes, what it answers by status, and the kinds of its refusals.

    The kinds are those of `web.http.problems.KINDS`. `is_tagged`: it has an `ETag`, and answers
    304.
    """

    answers: Mapping[int, Content]
    refuses: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    query: Mapping[str, Shape] = field(default_factory=dict)
    is_tagged: bool = False
    headers: Mapping[str, Shape] = field(default_factory=dict)
    """Headers of the request that mean something here."""
    needed_headers: tuple[str, ...] = ()
    """Those of them without which nothing is done."""


def reads(
    shape: Shape,
    *refuses: str,
    query: Mapping[str, Shape] | None = None,
    media_type: str = JSON_TYPE,
    headers: Mapping[str, str] | None = None,
) -> Description:
    """A GET whose answer has an `ETag`."""
    content = Content(shape, media_type, headers or {})
    return Description({200: content}, refuses, query=query or {}, is_tagged=True)


def tells(shape: Shape, *refuses: str, media_type: str = JSON_TYPE) -> Description:
    """A GET whose answer has none."""
    return Description({200: Content(shape, media_type)}, refuses)


def makes(shape: Shape, body: type[BaseModel], *refuses: str) -> Description:
    """A PUT that is answered with 201. It may contradict what is there."""
    done = "It is there as asked: since this request, or since the same one before."
    return Description({201: Content(shape, done=done)}, ("conflict", *refuses), body)


def changes(shape: Shape, *refuses: str, body: type[BaseModel]) -> Description:
    """A PUT that is answered with 200."""
    done = "It was changed as asked, or had been before; this is how it is now."
    return Description({200: Content(shape, done=done)}, refuses, body)


def accepts(shape: Shape, body: type[BaseModel], *refuses: str) -> Description:
    """A POST that is answered with 202: it is under way."""
    done = "It was asked for, and will be done within moments."
    return Description({202: Content(shape, done=done)}, refuses, body)


def removes(*refuses: str) -> Description:
    """A DELETE."""
    return Description({200: Content(Nothing, done="It was removed.")}, refuses)
