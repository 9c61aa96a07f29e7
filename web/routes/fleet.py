"""The rows of the table of routes that are about the fleet as people look at it."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from web.resources.at_time import QUERY as AT
from web.resources.fleet import Fleet
from web.resources.fleet_filter import FILTERS, QUERY
from web.resources.host_care import HostCare
from web.routing.description import accepts, changes, reads
from web.routing.route import Route
from web.schemas.fleet_bodies import CheckBody, FleetCheckBody, LabelsBody
from web.schemas.fleet_records import CheckRecord, FacetsRecord, FleetHost, FleetRecord, Labels

V0 = "/api/v0"
GONE = "not_found"
AS_READ: dict[str, Any] = {
    "If-Match": Annotated[
        str,
        Field(
            pattern=r'^(\*|(W/)?"[!#-~]*")$',
            description="The `ETag` of the labels in whose place these are to be: 412 where they"
            " are others by now.",
        ),
    ]
}
"""What is changed only if it is still so."""


def fleet_routes(fleet: Fleet, care: HostCare) -> list[Route]:
    """The fleet, its pages and counts, and what people do for hosts at any time."""
    labels = f"{V0}/host/{{address}}/labels"
    page = reads(
        list[FleetHost], GONE, query=QUERY, headers={"Link": "The next page; none after the last."}
    )
    return [
        Route("GET", f"{V0}/fleet", "viewer", fleet.show, reads(FleetRecord, query=AT)),
        Route("GET", f"{V0}/fleet/hosts", "viewer", fleet.hosts, page),
        Route(
            "GET",
            f"{V0}/fleet/facets",
            "viewer",
            fleet.facets,
            reads(FacetsRecord, GONE, query={**FILTERS, **AT}),
        ),
        Route(
            "POST",
            f"{V0}/fleet/check",
            "operator",
            care.check_many,
            accepts(CheckRecord, FleetCheckBody, GONE),
            "body",
        ),
        Route(
            "POST",
            f"{V0}/host/{{address}}/check",
            "operator",
            care.check,
            accepts(CheckRecord, CheckBody, GONE),
            "host",
        ),
        Route("GET", labels, "viewer", care.show_labels, reads(Labels, GONE)),
        Route(
            "PUT",
            labels,
            "operator",
            care.change_labels,
            replace(changes(Labels, GONE, "stale", body=LabelsBody), headers=AS_READ),
            "host",
        ),
    ]
