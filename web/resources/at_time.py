"""`?at=TIME`: the time that a query asks about, and the answers about it."""

from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

from pydantic import Field

from domain.refusal import invalid
from projections.past.past import NotYet
from projections.past.past_reads import AsOf
from projections.projection import position_of
from web.http.query_string import moment, parameters
from web.http.requests import POSITION_KEY, Request
from web.schemas.records import LAST_CHECK

T = TypeVar("T")

# Any: annotations.
QUERY: dict[str, Any] = {
    "at": Annotated[
        str,
        Field(
            description="The answer as it was at this time: ISO 8601, UTC where no offset is said,"
            " and not in the future.",
            examples=[LAST_CHECK],
            json_schema_extra={"format": "date-time"},
        ),
    ]
}
"""How the parameter is described; `asked_at` parses it."""


def asked_at(request: Request) -> str | None:
    """The time that is asked about; None for now. Refuses what is no time."""
    query = request.scope["query_string"]
    if not query:
        return None
    text = parameters(query, QUERY).get("at")
    return None if text is None else moment(text, "at")


async def told(request: Request, asking: Awaitable[T]) -> T:
    """What was at a time, which is that of the answer. Refuses a time to come."""
    try:
        was = await asking
    except NotYet:
        raise invalid("at is in the future: nobody knows yet.", "at") from None
    tag = was.tag if isinstance(was, AsOf) else str(was)
    request.scope[POSITION_KEY] = position_of(tag)
    return was
