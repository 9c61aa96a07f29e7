"""The rows of the table of routes that are about windows, gates and schedules."""

from web.resources.at_time import QUERY as AT
from web.resources.planning.gates import Gates
from web.resources.planning.schedules import Schedules
from web.resources.planning.windows import Windows
from web.routing.description import makes, reads, removes
from web.routing.route import Route
from web.schemas.planning.bodies import ScheduleBody, WindowBody
from web.schemas.planning.records import GateRecord, ScheduleRecord, WindowRecord

V0 = "/api/v0"
GONE = "not_found"
WINDOW = f"{V0}/window/{{name}}"
SCHEDULE = f"{V0}/schedule/{{name}}"
LISTS_SCHEDULES = reads(list[ScheduleRecord], query=AT)
DEFINES = makes(ScheduleRecord, ScheduleBody, GONE)


def planning_routes(windows: Windows, schedules: Schedules, gates: Gates) -> list[Route]:
    """When operations may start hosts, and when they begin by themselves. A window is for all
    clusters, so it takes an administrator to change it."""
    return [
        Route("GET", f"{V0}/windows", "viewer", windows.index, reads(list[WindowRecord], query=AT)),
        Route("GET", WINDOW, "viewer", windows.show, reads(WindowRecord, GONE, query=AT)),
        Route("PUT", WINDOW, "admin", windows.define, makes(WindowRecord, WindowBody)),
        Route("DELETE", WINDOW, "admin", windows.remove, removes(GONE, "conflict")),
        Route("GET", f"{V0}/gates", "viewer", gates.index, reads(list[GateRecord])),
        Route("GET", f"{V0}/schedules", "viewer", schedules.index, LISTS_SCHEDULES),
        Route("GET", SCHEDULE, "viewer", schedules.show, reads(ScheduleRecord, GONE, query=AT)),
        Route("PUT", SCHEDULE, "operator", schedules.define, DEFINES, "body"),
        Route("DELETE", SCHEDULE, "operator", schedules.remove, removes(GONE), "schedule"),
    ]
