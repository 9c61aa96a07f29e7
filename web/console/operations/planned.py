"""`/planned`: what fires next, what is open, what is asked, how many may be away, and who is."""

from typing import Any

from starlette.responses import Response

from web.console.frame.api import Api
from web.console.frame.commands import commands, release
from web.console.frame.pages import Pages, past
from web.console.frame.waiting import Waiting
from web.console.past.slider import Past
from web.http.requests import Request

CLUSTERS_MAX = 200
OPERATIONS_MAX = 1_000

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Planned:
    """The page of what is planned, and of what holds back."""

    def __init__(self, api: Api, pages: Pages, past: Past, waiting: Waiting) -> None:
        self._api = api
        self._pages = pages
        self._past = past
        self._waiting = waiting

    async def show(self, request: Request) -> Response:
        """Schedules, windows, gates, policies of clusters, and locks."""
        at = past(request)
        schedules = await self._api.get(request, "/schedules", at)
        policies, more = await self._policies(request, at)
        fleet = await self._api.get(request, "/fleet", at)
        waits = [] if at else await self._waits(request)
        gates = [] if at else await self._api.get(request, "/gates")
        gates = [*gates, *([] if at else _without_settings(gates, policies, schedules, waits))]
        return self._pages.show(
            request,
            "planned.html",
            windows=await self._api.get(request, "/windows", at),
            schedules=schedules,
            gates=[gate | _asked_by(gate["name"], policies, schedules, waits) for gate in gates],
            policies=policies,
            more=more,
            locks=[lock | {"release": release(request, lock)} for lock in fleet["locks"]],
            commands=_commands(request),
            **await self._past.shown(request),
        )

    async def _policies(self, request: Request, at: Record) -> tuple[list[Record], int]:
        """Those of the first clusters that have one, and how many clusters were not looked at."""
        names = await self._api.get(request, "/clusters", at)
        found = []
        for name in names[:CLUSTERS_MAX]:
            policy = await self._api.get(request, "/cluster/{name}/policy", at, name=name)
            if any(value is not None for value in policy.values()):
                found.append(policy | {"cluster": name})
        return found, max(0, len(names) - CLUSTERS_MAX)

    async def _waits(self, request: Request) -> list[Record]:
        """Operations that wait at a gate."""
        query = {"status": "in_process", "limit": str(OPERATIONS_MAX)}
        found = await self._api.get(request, "/operations", query)
        held = [op for op in found if op["waits_for"] and op["waits_for"]["what"] == "gate"]
        return await self._waiting.lines(request, held)


def _without_settings(
    gates: list[Record], policies: list[Record], schedules: list[Record], waits: list[Record]
) -> list[Record]:
    """Gates that are named, and are none of the process that answers: they say no."""
    named = {policy["gate"] for policy in policies}
    named |= {each["operation"].get("gate") for each in schedules}
    named |= {op["options"].get("gate") for op in waits}
    missing = named - {None} - {gate["name"] for gate in gates}
    return [{"name": name, "asks": None, "filter": None} for name in sorted(missing)]


def _asked_by(
    gate: str, policies: list[Record], schedules: list[Record], waits: list[Record]
) -> Record:
    """Who names a gate, and what waits for it to say yes."""
    return {
        "clusters": [each["cluster"] for each in policies if each["gate"] == gate],
        "schedules": [each["name"] for each in schedules if each["operation"].get("gate") == gate],
        "waits": [op for op in waits if f"Gate {gate} says no" in op["waits_for"]["reason"]],
    }


def _commands(request: Request) -> Record:
    return {
        "schedules": commands(request, ("schedule", "list"), "/schedules"),
        "windows": commands(request, ("window", "list"), "/windows"),
        "gates": commands(request, ("gate", "list"), "/gates"),
        "policies": commands(request, ("policy", "show", "CLUSTER"), "/cluster/CLUSTER/policy"),
        "locks": commands(request, ("lock", "list"), "/fleet"),
    }
