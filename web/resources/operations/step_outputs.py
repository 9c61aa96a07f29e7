"""What a host's step has said: from a byte on, a part of it, or as it comes."""

import asyncio
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from domain.log.recorder import POSITION_MAX
from domain.names import quoted
from domain.refusal import invalid, not_found, unavailable
from projections.reads import Reads
from web.events.live_answer import EVENT_STREAM
from web.events.output_stream import Followers, OutputStream, said
from web.http.query_string import number, parameters
from web.http.ranges import ranged
from web.http.replies import INERT, NO_STORE, NOSNIFF
from web.http.requests import Request
from web.http.shown_text import shown, whole
from web.resources.operations.operations import id_in
from web.schemas.path_names import address_in

PLAIN_TEXT = (b"content-type", b"text/plain; charset=utf-8")
ATTACHMENT = (b"content-disposition", b'attachment; filename="output"')
# Any: annotations.
OUTPUT_QUERY: dict[str, Any] = {
    "raw": Annotated[
        str, Field(description="The bytes as they came, as a file. It has no value.", max_length=0)
    ],
    "offset": Annotated[
        int, Field(ge=0, le=POSITION_MAX, description="Only what follows so many bytes.")
    ],
}


class StepOutputs:
    """The handler of `/operation/{id}/hosts/{address}/output`."""

    def __init__(self, reads: Reads, followers: Followers, followers_max: int) -> None:
        self._reads = reads
        self._followers = followers
        self._followers_max = followers_max

    async def show(self, request: Request) -> Response:
        """What a host's step has said so far; as an event stream, also what it says from now on.

        Characters that a terminal or a page would obey are shown (`\\x1b`); with `?raw` they are as
        they came, and the answer is a file to be kept. `offset`, `Range` and the ids of the stream
        count bytes of the answer.
        """
        name, address = id_in(request), address_in(request)
        given = parameters(request.scope["query_string"], OUTPUT_QUERY)
        if given.get("raw"):
            raise invalid("raw takes no value.", "raw")
        raw = "raw" in given
        offset = number(given.get("offset", "0"), "offset", 0, POSITION_MAX)
        found = await self._reads.fresh(said, name, address)
        if found is None:
            raise not_found(f"There is no host {quoted(address)} in operation {quoted(name)}.")
        if EVENT_STREAM in request.headers.get("accept", ""):
            if raw:
                raise invalid("raw is for a file: a stream of events is text.", "raw")
            return self._follow(request, (name, address), offset)
        if raw:
            headers = (PLAIN_TEXT, ATTACHMENT, NO_STORE, NOSNIFF, INERT)
            return ranged(request, found.text[offset:], headers)
        text = found.text if found.is_over else whole(found.text)
        text = (await asyncio.to_thread(shown, text))[offset:]
        return ranged(request, text, (PLAIN_TEXT, NO_STORE, NOSNIFF, INERT))

    def _follow(self, request: Request, part: tuple[str, str], offset: int) -> OutputStream:
        if self._followers.count >= self._followers_max:
            raise unavailable(f"{self._followers.count} follow outputs already.")
        resumed = request.headers.get("last-event-id")
        if resumed is not None:
            offset = number(resumed, "Last-Event-ID", 0, POSITION_MAX)
        return OutputStream(self._reads, part, offset, request.is_admitted, self._followers)
