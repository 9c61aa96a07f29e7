"""`?at=TIME`: what the query says of the time that is asked about, and the answers about it."""

from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs

from pydantic import Field

from domain.moment import PATTERN, moment
from domain.refusal import invalid
from projections.past import NotYet
from projections.past_reads import AsOf
from web.requests import Request

PARAMETERS_MAX = 100

T = TypeVar("T")

# Any: annotations.
QUERY: dict[str, Any] = {
    "at": Annotated[
        str,
        Field(
            pattern=f"^{PATTERN}$",
            description="The answer as it was at this time, in UTC; not in the future.",
            examples=["2015-12-17T15:48:18.710454"],
        ),
    ]
}
"""How the parameter is described; `asked_at` parses it."""


def parameters(query: bytes) -> dict[str, list[str]]:
    """All parameters of a query, those without a value too. Refuses what is none."""
    try:
        return parse_qs(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError:
        raise invalid("The query is no text, or has too many parameters.") from None


def one_of(given: dict[str, list[str]], name: str) -> str | None:
    """The value of a parameter that may be there once."""
    values = given.get(name, [None])
    if len(values) > 1:
        raise invalid(f"{name} is in the query more than once.", name)
    return values[0]


def asked_at(request: Request) -> str | None:
    """The time that is asked about; None for now. Refuses what is no time."""
    query = request.scope["query_string"]
    if not query:
        return None
    text = one_of(parameters(query), "at")
    return None if text is None else moment(text, "at")


async def told(asking: Awaitable[AsOf[T]]) -> AsOf[T]:
    """What was at a time. Refuses a time to come."""
    try:
        return await asking
    except NotYet:
        raise invalid("at is in the future: nobody knows yet.", "at") from None
