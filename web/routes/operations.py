"""The rows of the table of routes that are about operations."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from domain.aggregates.rolling_policy import Kind, Outcome
from domain.log.recorder import POSITION_MAX
from domain.rollouts.moves import Status
from projections.operation_reads import PAGE_DEFAULT, PAGE_MAX
from web.events.live_answer import EVENT_STREAM
from web.http.query_string import TEXT
from web.resources.operations.idempotency import HEADER
from web.resources.operations.operation_starts import ACCEPTED, OperationStarts
from web.resources.operations.operations import Operations
from web.resources.operations.step_outputs import OUTPUT_QUERY, StepOutputs
from web.routing.description import PLAIN_TEXT, Content, Description, makes, reads
from web.routing.route import Route
from web.schemas.bodies import Body, Name, NothingElse
from web.schemas.event_records import RESUMES
from web.schemas.operation_bodies import ApprovalBody, BeginBody, StateBody
from web.schemas.operation_records import (
    DeployRecord,
    DigestedPlan,
    ListedOperation,
    OperationHostRecord,
    OperationRecord,
    PlanRecord,
    RestartRecord,
    UpgradeRecord,
)
from web.schemas.records import Record, Text

V0_RECORDS: dict[Kind, type[Record]] = {
    "deploy": DeployRecord,
    "upgrade": UpgradeRecord,
    "restart": RestartRecord,
}
LOCATION = {"Location": "The operation, at `/api/v0/operation/…`."}
GONE, CLASH = "not_found", "conflict"
# Any: annotations.
PAGES: dict[str, Any] = {
    "limit": Annotated[
        int, Field(ge=1, le=PAGE_MAX, description=f"So many at most; {PAGE_DEFAULT} if not said.")
    ],
    "after": Annotated[
        int, Field(ge=0, le=POSITION_MAX, description="Where the page before ended: see `Link`.")
    ],
}
TAKES = {"Accept-Ranges": "`bytes`."}
PLACE = {"Content-Range": "Which bytes, and of how many."}
PART: dict[str, Any] = {
    "Range": Annotated[
        str,
        Field(description="Such as `bytes=500-`. Several parts at once are the whole."),
    ],
    "If-Range": Annotated[
        str, Field(description="With it `Range` is passed over: the output grows.")
    ],
}
"""Which part of an output is asked for."""
ONCE: dict[str, Any] = {
    HEADER: Annotated[
        str,
        Field(
            pattern="^[!-~]{1,255}$",
            description="Kept for a day: the same body is answered with the same operation.",
        ),
    ]
}
NEXT = {"Link": "The next page; none after the last."}
QUERY: dict[str, Any] = {
    "cluster": Annotated[Name, Field(description="Only operations on this cluster.")],
    "status": Annotated[Status, Field(description="Only operations of this status.")],
    "kind": Annotated[Kind, Field(description="Only operations of this kind.")],
    "actor": Annotated[
        str, Field(pattern=TEXT, description="Only operations that this user asked for.")
    ],
    **PAGES,
}
"""How the parameters of the lists are described; `web.resources.operations` parses them."""
HOSTS_QUERY: dict[str, Any] = {
    "outcome": Annotated[Outcome, Field(description="Only hosts with this outcome.")],
    **PAGES,
}
WITH_HOSTS: dict[str, Any] = {
    "hosts": Annotated[Literal["true", "false"], Field(description="`false`: without its hosts.")]
}


def _begins(
    shape: Any, body: type[Body], *, plan: Any = None, headers: Mapping[str, Any] | None = None
) -> Description:
    begun = "The operation was started by this request, or the same one is in process already."
    answers = {201: Content(shape, headers=LOCATION, done=begun)}
    if plan is not None:
        answers[200] = Content(plan, done="Nothing was changed: what would be done.")
    return Description(answers, (GONE, CLASH), body, headers=headers or {})


def operation_routes(
    operations: Operations, starts: OperationStarts, outputs: StepOutputs
) -> list[Route]:
    """What v0 has for each kind, and what is beyond."""
    v0 = "/api/v0"
    one = f"{v0}/operation/{{id}}"
    output = f"{one}/hosts/{{address}}/output"
    rows = [
        Route("GET", f"{v0}/operations", "viewer", operations.index, _listed()),
        Route(
            "POST",
            f"{v0}/operations",
            "operator",
            starts.begin,
            _begins(OperationRecord, BeginBody, plan=DigestedPlan, headers=ONCE),
            "body",
        ),
        Route("GET", one, "viewer", operations.show, _shown()),
        Route("GET", f"{one}/hosts", "viewer", operations.hosts, _hosts_listed()),
        Route("PUT", f"{one}/state", "operator", operations.steer, _steers(), "operation"),
        Route("PUT", f"{one}/approval", "operator", operations.approve, _approves(), "operation"),
        Route(
            "PUT",
            f"{one}/retry",
            "operator",
            starts.retry,
            _begins(OperationRecord, NothingElse),
            "operation",
        ),
        Route("GET", output, "viewer", outputs.show, _output()),
    ]
    for kind, record in V0_RECORDS.items():
        path = f"{v0}/cluster/{{name}}/{kind}"
        begins = _begins(record, ACCEPTED[kind], plan=PlanRecord)
        rows.append(Route("GET", path, "viewer", operations.latest(kind), reads(record, GONE)))
        rows.append(Route("PUT", path, "operator", starts.start(kind), begins, "cluster"))
    return rows


def _listed() -> Description:
    return reads(list[ListedOperation], GONE, query=QUERY, headers=NEXT)


def _shown() -> Description:
    return reads(OperationRecord | ListedOperation, GONE, query=WITH_HOSTS)


def _hosts_listed() -> Description:
    return reads(list[OperationHostRecord], GONE, query=HOSTS_QUERY, headers=NEXT)


def _output() -> Description:
    text = Content(Text, PLAIN_TEXT, TAKES, also=EVENT_STREAM)
    part = Content(Text, PLAIN_TEXT, TAKES | PLACE, done="The part that `Range` asks for.")
    return Description(
        {200: text, 206: part}, (GONE, "range"), query=OUTPUT_QUERY, headers=PART | RESUMES
    )


def _steers() -> Description:
    return makes(OperationRecord, StateBody, GONE)


def _approves() -> Description:
    return makes(OperationRecord, ApprovalBody, GONE)
