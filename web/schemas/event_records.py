"""Records of events, as `web/schemas/records.py` has those of everything else."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.config import JsonDict

from domain.all_events import TYPES
from domain.log.recorder import POSITION_MAX
from web.http.query_string import TEXT
from web.schemas.examples import example
from web.schemas.records import TIME, Record

Moment = Annotated[str, Field(pattern=f"^{TIME}Z$")]
Position = Annotated[int, Field(ge=0, le=POSITION_MAX)]

EVENT_EXAMPLE: JsonDict = {
    "specversion": "1.0",
    "id": "17",
    "source": "/api/v0/events",
    "type": "cluster.host_joined",
    "subject": "cluster/web",
    "time": "2015-12-17T15:48:18.710454Z",
    "at": "2015-12-17T15:48:18.709112Z",
    "actor": "alice",
    "correlationid": "5f6a0c5e2b7d-1",
    "datacontenttype": "application/json",
    "data": {"address": "10.0.0.7"},
}


class CloudEvent(Record):
    """An event, as CloudEvents 1.0 writes it in JSON."""

    specversion: Literal["1.0"]
    id: str = Field(pattern="^[0-9]+$", description="The position in the log.")
    source: str
    type: str = Field(description="docs/events.md has them all.")
    subject: str = Field(description="Such as `host/10.0.0.7`.")
    time: Moment = Field(description="When it was recorded, as `?at=` takes it.")
    at: str = Field("", description="When it was done, by the clock of whoever did it.")
    actor: str = Field("", description="Who did it: a user, or a part of the service.")
    correlationid: str = Field("", description="The request, or what else it follows from.")
    datacontenttype: Literal["application/json"] = "application/json"
    # Any: plain JSON values.
    data: dict[str, Any] = Field({}, description="What the type says more.")
    data_base64: str = Field("", description="Instead, where that cannot be read.")

    model_config = example(**EVENT_EXAMPLE)


HISTORY_EXAMPLE: JsonDict = {
    "id": "23",
    "time": "2015-12-17T15:48:18.710454",
    "actor": "runner:watcher",
    "subject": "host/10.0.0.7",
    "type": "host.failed",
    "what": "failed",
    "changes": {"status": {"before": "active", "after": "failed"}},
    "why": "Nothing answers at port 22.",
    "request": None,
    "follows_from": "host/10.0.0.7@1",
}


class Change(Record):
    """What something was before an event, and after it; `null` where it was not there."""

    before: str | int | None
    after: str | int | None


class HistoryRecord(Record):
    """An event as a person asks for it."""

    id: str = Field(pattern="^[0-9]+$", description="The position in the log.")
    time: str = Field(pattern=f"^{TIME}$", description="When it was recorded.")
    actor: str = Field(description="Who did it: a user, or a part of the service.")
    subject: str
    type: str
    what: str = Field(description="What happened to the subject.")
    changes: dict[str, Change] = Field(description="Of the subject, by what has changed.")
    why: str | None = Field(description="The reason, where the event has one.")
    request: str | None = Field(description="The `X-Request-ID` of the request that did it.")
    follows_from: str | None = Field(description="Or what a part of the service worked on.")
    # Left out where there is none.
    note: str = Field("", description="Why, as the `Commissaire-Note` of the request says it.")

    model_config = example(**HISTORY_EXAMPLE)


Text = Annotated[str, Field(pattern=TEXT)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

FILTERS: dict[str, Any] = {
    "subject": Annotated[Text, Field(description="Only of this subject, as `host/10.0.0.7`.")],
    "type": Annotated[
        str,
        Field(description="Only of this type.", json_schema_extra={"enum": [*TYPES]}),
    ],
    "actor": Annotated[Text, Field(description="Only what this user, or runner, did.")],
}
"""How the parameters are described; `web.events.events.filter_of` parses them."""
QUERY: dict[str, Any] = {
    "after": Annotated[Position, Field(description="Only what follows this position.")],
    "limit": Annotated[int, Field(ge=1, le=1000, description="So many at most; 100 otherwise.")],
    **FILTERS,
    "since": Annotated[Time, Field(description="Only what was recorded then or later.")],
    "until": Annotated[Time, Field(description="Only what was recorded then or before.")],
}
SUBJECTS = Annotated[
    list[Text],
    Field(max_length=50, description="Only of this subject; of any of several."),
]
HISTORY_QUERY = {name: QUERY[name] for name in ("after", "limit")}

RESUMES: dict[str, Any] = {
    "Last-Event-ID": Annotated[
        int,
        Field(
            ge=0, le=POSITION_MAX, description="The `id` that came last: the stream goes on there."
        ),
    ]
}
"""How a stream is resumed, in place of a place in the query."""
