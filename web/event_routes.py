"""The routes of what happened, as `web/routes.py` has those of everything else."""

from web.cloud_events import BATCH_TYPE
from web.description import Content, Description, reads
from web.event_records import FILTERS, QUERY, CloudEvent
from web.event_stream import EVENT_STREAM
from web.events import PATH, Events
from web.records import Text
from web.routing import Route

LINK = {"Link": "Where the log goes on, the address of the next page, with `rel=next`."}
LISTED = reads(list[CloudEvent], query=QUERY, media_type=BATCH_TYPE, headers=LINK)
STREAMED = Description(
    {200: Content(Text, EVENT_STREAM)},
    ("conflict",),
    query={name: QUERY[name] for name in ("after", "since", *FILTERS)},
)


def event_routes(events: Events) -> list[Route]:
    """The log, to be read and to be followed."""
    return [
        Route("GET", PATH, "viewer", events.index, LISTED),
        Route("GET", f"{PATH}/stream", "viewer", events.stream, STREAMED),
    ]
