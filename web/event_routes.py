"""The routes of what happened, as `web/routes.py` has those of everything else."""

from web.cloud_events import BATCH_TYPE
from web.description import reads
from web.event_records import QUERY, CloudEvent
from web.events import PATH, Events
from web.routing import Route

LINK = {"Link": "Where the log goes on, the address of the next page, with `rel=next`."}
LISTED = reads(list[CloudEvent], query=QUERY, media_type=BATCH_TYPE, headers=LINK)


def event_routes(events: Events) -> list[Route]:
    """The log, to be read and to be followed."""
    return [Route("GET", PATH, "viewer", events.index, LISTED)]
