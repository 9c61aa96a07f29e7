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
    note: str = Field("", description="Why, where whoever did it said so: `Commissaire-Note`.")
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


HASH = Annotated[str, Field(pattern="^[A-Za-z0-9+/]{43}=$", description="SHA-256, in base64.")]
Size = Annotated[int, Field(ge=0, le=POSITION_MAX)]

NOTE = (
    "commissaire/4f1c0a97d2e35b68\n17\nPH6byTDck/AfppmF7yQtn56GHzxTVaokzl70tLinDMs="
    "\ntime 2026-01-02T03:04:05.000006Z\n\n\u2014 commissaire/4f1c0a97d2e35b68 y5Hs"
    "aWEkExr4hKLzxc6iFrqALDPxQewbSyXaZhdh44DgdaNuuqOZmTiFCinmJQYArQcH6S8aFKeSuY4m5N"
    "QVnwBZlQc=\n"
)
KEY = "commissaire/4f1c0a97d2e35b68+cb91ec69+Aa8Go+MpFxTk81bBnJsVzRlR7G5mYqp3vgdUfyiTgzQd"


class CheckpointRecord(Record):
    """What the Merkle tree of the log is now, signed."""

    size: Size = Field(description="So many events.")
    root: HASH
    position: int = Field(ge=0, description="Of the last of them.")
    time: Moment
    key: str = Field(description="The public half of the key, as `--key` of `log verify` takes it.")
    checkpoint: str = Field(description="The same as a signed note (C2SP tlog-checkpoint).")

    model_config = example(
        size=17,
        root="PH6byTDck/AfppmF7yQtn56GHzxTVaokzl70tLinDMs=",
        position=17,
        time="2026-01-02T03:04:05.000006Z",
        key=KEY,
        checkpoint=NOTE,
    )


class ProofRecord(Record):
    """That an event is in the log, or that the log continues what it was."""

    size: Size = Field(description="Of the tree that it is about.")
    root: HASH = Field(description="Of that tree.")
    hashes: list[HASH] = Field(description="The path, as RFC 6962 has it, lowest first.")
    # Left out where the other kind was asked for.
    position: int = Field(0, ge=0, description="Of the event.")
    leaf: int = Field(0, ge=0, description="Which leaf it is, from 0 on.")
    row: str = Field("", description="The leaf's bytes: the event as it is hashed.")
    row_base64: str = Field("", description="Instead, where they are no UTF-8.")
    older_size: Size = Field(0, description="Of the tree that is continued.")
    older_root: str = Field("", description="Of that tree.")

    model_config = example(
        size=2,
        root="DSl0pUbVxbZoR2MYQ7AQ3vvvuFbaQsvKJKjlVH4A1xo=",
        hashes=["bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="],
        position=2,
        leaf=1,
        row='[2,"2015-12-17T15:48:18.710454","cluster/web",2,"cluster.removed",{}]',
    )


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
PROOF_QUERY: dict[str, Any] = {
    "position": Annotated[int, Field(ge=1, le=POSITION_MAX, description="Of the event.")],
    "from": Annotated[Size, Field(description="Or: the size of an older tree.")],
    "to": Annotated[Size, Field(description="The size of the tree; otherwise, as it is now.")],
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
