"""The rows of the table of routes that are about windows and schedules."""

from web.resources.at_time import QUERY as AT
from web.resources.planning.windows import Windows
from web.routing.description import makes, reads, removes
from web.routing.route import Route
from web.schemas.planning_bodies import WindowBody
from web.schemas.planning_records import WindowRecord

V0 = "/api/v0"
GONE = "not_found"
WINDOW = f"{V0}/window/{{name}}"


def planning_routes(windows: Windows) -> list[Route]:
    """When operations may start hosts. A window is for all clusters, so it takes an administrator
    to change it."""
    return [
        Route("GET", f"{V0}/windows", "viewer", windows.index, reads(list[WindowRecord], query=AT)),
        Route("GET", WINDOW, "viewer", windows.show, reads(WindowRecord, GONE, query=AT)),
        Route("PUT", WINDOW, "admin", windows.define, makes(WindowRecord, WindowBody)),
        Route("DELETE", WINDOW, "admin", windows.remove, removes(GONE, "conflict")),
    ]
