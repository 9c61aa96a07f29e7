"""Bodies of requests about the fleet."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from domain.aggregates.host_events import FailureKind
from domain.labels import LABELS_MAX
from web.schemas.bodies import Body, Exact, Name
from web.schemas.examples import example
from web.schemas.records import HostStatusName

LABEL_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
LABEL_KEY = rf"({DNS_LABEL}(\.{DNS_LABEL}){{0,3}}/)?{LABEL_NAME}"
Label = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": rf"^{LABEL_KEY}=({LABEL_NAME})?$"})
]
"""`domain.labels` has the limits in full; these patterns are for `/openapi.json`."""
Find = Annotated[str, Field(pattern="^[ -~]{1,100}$")]


UPDATES = "Also for updates that wait, which takes some minutes: they are asked for once a day."


class LabelsBody(Body):
    """The labels of a host: all keys are labels, all values strings."""

    REPLACES = True

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{"role": "db", "rack": "7"}],
            "maxProperties": LABELS_MAX,
            "propertyNames": {"pattern": f"^{LABEL_KEY}$"},
            "additionalProperties": {"type": "string", "pattern": f"^({LABEL_NAME})?$"},
        },
    )


class CheckBody(Exact):
    """What is to be looked at."""

    updates: bool = Field(False, description=UPDATES)

    model_config = example(updates=True)


class HostFilters(Exact):
    """Which hosts, by the filters of `/fleet/hosts`; all where nothing is said."""

    q: Find | None = None
    status: HostStatusName | None = None
    kind: FailureKind | None = None
    cluster: Name | None = None
    os: Find | None = None
    label: Annotated[list[Label], Field(max_length=64)] | Label | None = None
    reboot_needed: bool | Literal["true", "false", "unknown"] | None = None

    model_config = example(status="failed", label=["role=db"])


class FleetCheckBody(HostFilters):
    """Which hosts are to be looked at now."""

    updates: bool = Field(False, description=UPDATES)
