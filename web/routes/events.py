"""The routes of what happened, as `web/routes/table.py` has those of everything else."""

from dataclasses import replace

from web.events.cloud_events import BATCH_TYPE
from web.events.event_stream import EVENT_STREAM
from web.events.events import PATH, Events
from web.events.histories import Histories
from web.events.proofs import Proofs
from web.routing.description import Content, Description, reads, tells
from web.routing.route import Route
from web.schemas.event_records import (
    FILTERS,
    HISTORY_QUERY,
    PROOF_QUERY,
    QUERY,
    RESUMES,
    SUBJECTS,
    CheckpointRecord,
    CloudEvent,
    HistoryRecord,
    ProofRecord,
)
from web.schemas.records import Text

LINK = {"Link": "Where the log goes on, the address of the next page, with `rel=next`."}
LISTED = reads(list[CloudEvent], query=QUERY, media_type=BATCH_TYPE, headers=LINK)
TOLD = reads(list[HistoryRecord], "not_found", query=HISTORY_QUERY, headers=LINK)
STREAMED = Description(
    {200: Content(Text, EVENT_STREAM)},
    ("conflict",),
    query={name: QUERY[name] for name in ("after", "since", *FILTERS)} | {"subject": SUBJECTS},
    headers=RESUMES,
)


PROVED = replace(tells(ProofRecord, "invalid", "not_found"), query=PROOF_QUERY)


def event_routes(events: Events, histories: Histories, proofs: Proofs) -> list[Route]:
    """The log, to be read and to be followed, and what it says of one subject."""
    v0 = "/api/v0"
    host, cluster = f"{v0}/host/{{address}}/history", f"{v0}/cluster/{{name}}/history"
    return [
        Route("GET", PATH, "viewer", events.index, LISTED),
        Route("GET", f"{PATH}/stream", "viewer", events.stream, STREAMED),
        Route(
            "GET", "/api/v0/log/checkpoint", "viewer", proofs.checkpoint, tells(CheckpointRecord)
        ),
        Route("GET", "/api/v0/log/proof", "viewer", proofs.proof, PROVED),
        Route("GET", host, "viewer", histories.of_host, TOLD),
        Route("GET", cluster, "viewer", histories.of_cluster, TOLD),
    ]
