"""The rows of the table of routes that are about operations."""

from typing import Annotated, Any

from pydantic import Field

from domain.aggregates.rolling_policy import Kind, Status
from web.resources.operations import ACCEPTED, OUTPUT_QUERY, Operations
from web.routing.description import PLAIN_TEXT, Content, Description, makes, reads
from web.routing.route import Route
from web.schemas.bodies import Body, Name, NothingElse
from web.schemas.operation_bodies import StateBody
from web.schemas.operation_records import (
    DeployRecord,
    ListedOperation,
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
QUERY: dict[str, Any] = {
    "cluster": Annotated[Name, Field(description="Only operations on this cluster.")],
    "status": Annotated[Status, Field(description="Only operations of this status.")],
    "kind": Annotated[Kind, Field(description="Only operations of this kind.")],
}
"""How the parameters of the list are described; `web.resources.operations.filter_of` parses
them."""


def _begins(shape: Any, body: type[Body], *, plans: bool = False) -> Description:
    begun = "The operation was started by this request, or the same one is in process already."
    answers = {201: Content(shape, headers=LOCATION, done=begun)}
    if plans:
        answers[200] = Content(PlanRecord, done="Nothing was changed: what would be done.")
    return Description(answers, (GONE, CLASH), body)


def operation_routes(operations: Operations) -> list[Route]:
    """What v0 has for each kind, and what is beyond."""
    v0 = "/api/v0"
    one = f"{v0}/operation/{{id}}"
    output = f"{one}/hosts/{{address}}/output"
    rows = [
        Route("GET", f"{v0}/operations", "viewer", operations.index, _listed()),
        Route("GET", one, "viewer", operations.show, reads(OperationRecord, GONE)),
        Route("PUT", f"{one}/state", "operator", operations.steer, _steers()),
        Route(
            "PUT",
            f"{one}/retry",
            "operator",
            operations.retry,
            _begins(OperationRecord, NothingElse),
        ),
        Route("GET", output, "viewer", operations.output, _output()),
    ]
    for kind, record in V0_RECORDS.items():
        path = f"{v0}/cluster/{{name}}/{kind}"
        begins = _begins(record, ACCEPTED[kind], plans=True)
        rows.append(Route("GET", path, "viewer", operations.latest(kind), reads(record, GONE)))
        rows.append(Route("PUT", path, "operator", operations.start(kind), begins))
    return rows


def _listed() -> Description:
    return reads(list[ListedOperation], GONE, query=QUERY)


def _output() -> Description:
    text = Content(Text, PLAIN_TEXT)
    return Description({200: text}, (GONE,), query=OUTPUT_QUERY)


def _steers() -> Description:
    return makes(OperationRecord, StateBody, GONE)
