"""Which hosts of the fleet are meant: by the query of a GET, or the body of a POST."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from domain.aggregates.host_events import FailureKind, Status
from domain.labels import label_pair
from domain.refusal import invalid, not_found
from projections import clusters
from projections.fleet.matching import HostFilter
from projections.fleet.queries import PAGE_DEFAULT, PAGE_MAX, SORTS, Page
from projections.reads import Reads
from web.http.query_string import cluster_name, number, parameters, repeated
from web.resources import at_time
from web.schemas.bodies import Name
from web.schemas.fleet_bodies import Label
from web.schemas.records import HostStatusName

FIND_CHARACTERS_MAX = 100
PRINTABLE = "^[ -~]*$"
PRINTABLE_SOME = rf"[ -~]{{1,{FIND_CHARACTERS_MAX}}}"
REBOOT_NEEDED = {"true": 1, "false": 0, "unknown": -1}
SORT_NAMES = (*SORTS, *(f"-{name}" for name in SORTS))

# Any: annotations.
FILTERS: dict[str, Any] = {
    "q": Annotated[
        str,
        Field(
            min_length=1,
            max_length=FIND_CHARACTERS_MAX,
            pattern=PRINTABLE,
            description="Only hosts with this in their address or in a label.",
        ),
    ],
    "status": Annotated[HostStatusName, Field(description="Only hosts of this status.")],
    "kind": Annotated[FailureKind, Field(description="Only hosts that failed this way.")],
    "cluster": Annotated[Name, Field(description="Only members of this cluster.")],
    "os": Annotated[
        str,
        Field(
            min_length=1,
            max_length=FIND_CHARACTERS_MAX,
            pattern=PRINTABLE,
            description="Only hosts of this system.",
        ),
    ],
    "label": Annotated[
        list[Label],
        Field(description="Only hosts with this label, as `KEY=VALUE`; with all of several."),
    ],
    "reboot_needed": Annotated[
        Literal["true", "false", "unknown"], Field(description="Only hosts of which this is said.")
    ],
}
QUERY: dict[str, Any] = {
    **FILTERS,
    "sort": Annotated[
        str,
        Field(
            description="What the hosts are sorted by; `-` before it turns the order round.",
            json_schema_extra={"enum": list(SORT_NAMES)},
        ),
    ],
    "limit": Annotated[
        int, Field(ge=1, le=PAGE_MAX, description=f"So many at most; {PAGE_DEFAULT} if not said.")
    ],
    "after": Annotated[
        str,
        Field(
            description="Where the page before ended, as its `Link` says.",
            json_schema_extra={"format": "page-end"},
        ),
    ],
    **at_time.QUERY,
}


def filter_of(query: bytes) -> HostFilter:
    """What a query asks for. Refuses bad values."""
    given: dict[str, object] = dict(
        parameters(query, [name for name in FILTERS if name != "label"])
    )
    return checked_filter(given | {"label": repeated(query, "label")})


def checked_filter(given: Mapping[str, object]) -> HostFilter:
    """The same of values that are texts, but for `label`: a list of texts."""
    text = {name: str(given[name]) for name in FILTERS if given.get(name) is not None}
    if isinstance(given.get("reboot_needed"), bool):
        text["reboot_needed"] = text["reboot_needed"].lower()
    labels = given.get("label", [])
    if not isinstance(labels, list):
        labels = [labels]  # "" as well: it is no label, and must not mean any
    _one_of(text, "status", sorted({*get_args(Status)} - {""}))
    _one_of(text, "kind", get_args(FailureKind))
    _one_of(text, "reboot_needed", tuple(REBOOT_NEEDED))
    for name in ("q", "os"):
        if name in text and not re.fullmatch(PRINTABLE_SOME, text[name]):
            raise invalid(
                f"{name} must be 1 to {FIND_CHARACTERS_MAX} printable characters of ASCII.", name
            )
    for label in labels:
        label_pair(str(label))
    return HostFilter(
        q=text.get("q"),
        status=text.get("status"),
        kind=text.get("kind"),
        cluster=cluster_name(text["cluster"]) if "cluster" in text else None,
        os=text.get("os"),
        labels=tuple(dict.fromkeys(str(label) for label in labels)),
        reboot_needed=REBOOT_NEEDED[text["reboot_needed"]] if "reboot_needed" in text else None,
    )


async def must_be_a_cluster(reads: Reads, which: HostFilter) -> None:
    """Refuse a cluster that is none: nobody shall take a misspelt one for an empty one."""
    if which.cluster and not await reads.point(clusters.is_there, which.cluster):
        raise not_found(f"There is no cluster {which.cluster}: GET /api/v0/clusters lists them.")


def told_filter(which: HostFilter) -> dict[str, Any]:
    """A filter as an object of a body; always the same for the same hosts."""
    told = {name: value for name, value in which._asdict().items() if value is not None}
    if labels := sorted(told.pop("labels")):
        told["label"] = labels
    if which.reboot_needed is not None:
        told["reboot_needed"] = {1: True, 0: False, -1: "unknown"}[which.reboot_needed]
    return told


def page_of(query: bytes) -> Page:
    """Which page a query asks for. Refuses bad values."""
    given = parameters(query, ("sort", "limit", "after"))
    _one_of(given, "sort", SORT_NAMES)
    limit = number(given["limit"], "limit", 1, PAGE_MAX) if "limit" in given else PAGE_DEFAULT
    return Page(given.get("sort", "address"), limit, given.get("after"))


def _one_of(given: Mapping[str, str], name: str, known: "tuple[str, ...] | list[str]") -> None:
    if name in given and given[name] not in known:
        raise invalid(f"{name} must be one of {', '.join(known)}.", name)
