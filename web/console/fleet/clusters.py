"""`/clusters` and `/cluster/NAME`: members by state, what was done to them, what may be begun."""

from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from domain.log.reading.search import Filter
from web.console.frame.api import Api
from web.console.frame.commands import commands, release
from web.console.frame.live import Fragment, Live
from web.console.frame.pages import Pages, past
from web.console.frame.waiting import Waiting
from web.console.frame.words import word
from web.console.past.slider import Past
from web.events.histories import Histories
from web.http.query_string import moment
from web.http.requests import Request

HISTORY_MAX = 20
OPERATIONS_MAX = 10
CLUSTERS_MAX = 200
LOCKS_MAX = 100

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Clusters:
    """The pages of clusters."""

    def __init__(
        self,
        api: Api,
        pages: Pages,
        histories: Histories,
        live: Live,
        past: Past,
        waiting: Waiting,
    ) -> None:
        self._api = api
        self._pages = pages
        self._histories = histories
        self._live = live
        self._past = past
        self._waiting = waiting

    async def show_all(self, request: Request) -> Response:
        """Every cluster with its members and the newest operation."""
        return self._pages.show(
            request,
            "clusters.html",
            view="" if past(request) else "/live/clusters",
            commands=commands(request, ("cluster", "list"), "/clusters"),
            **await self._all(request) | await self._past.shown(request),
        )

    async def follow_all(self, request: Request) -> Response:
        """The same, whenever it changes."""

        async def rendered(request: Request) -> Fragment:
            seen = await self._all(request)
            return Fragment(self._pages.fragment(request, "live/clusters.html", **seen))

        return self._live.stream(request, Filter(), rendered)

    async def _all(self, request: Request) -> Record:
        at = past(request)
        names = await self._api.get(request, "/clusters", at)
        return {
            "clusters": [await self._listed(request, name, at) for name in names[:CLUSTERS_MAX]],
            "more": len(names) - CLUSTERS_MAX,
        }

    async def show(self, request: Request) -> Response:
        """One cluster."""
        name, shown = str(request.path_params["name"]), await self._past.shown(request)
        path = f"/cluster/{quote(name, safe='')}"
        at = shown.get("at", "")
        return self._pages.show(
            request,
            "cluster.html",
            view="" if at else f"/live{path}",
            may_act=request.identity.may_act_in(name, "operator") and not at,
            commands=commands(request, ("cluster", "show", name), path),
            **await self._one(request) | shown,
        )

    async def follow(self, request: Request) -> Response:
        """The same, whenever it changes."""
        await self._api.get(request, "/cluster/{name}", name=str(request.path_params["name"]))

        async def rendered(request: Request) -> Fragment:
            seen = await self._one(request)
            return Fragment(self._pages.fragment(request, "live/cluster.html", **seen))

        return self._live.stream(request, Filter(), rendered)

    async def _one(self, request: Request) -> Record:
        at, name = past(request), str(request.path_params["name"])
        facets = await self._api.get(request, "/fleet/facets", {"cluster": name} | at)
        until = moment(at["at"], "at") if at else ""
        return {
            "cluster": await self._api.get(request, "/cluster/{name}", at, name=name),
            "facets": [(n, _linked(n, facets[n], name, at)) for n in ("status", "kind", "os")],
            "operations": [] if at else await self._operations(request, name, OPERATIONS_MAX),
            **await self._budget(request, name, at),
            "history": await self._histories.newest_of(f"cluster/{name}", HISTORY_MAX, until),
        }

    async def _budget(self, request: Request, name: str, at: dict[str, str]) -> Record:
        """How many may be away, and who is by themselves."""
        path = f"/cluster/{quote(name, safe='')}/policy"
        example, body = ("policy", "set", name, "-U", "10%"), {"max_unavailable": "10%"}
        locks = await self._api.get(request, "/cluster/{name}/locks", at, name=name)
        held = [lock | {"cluster": name} for lock in locks[:LOCKS_MAX]]
        return {
            "policy": await self._api.get(request, "/cluster/{name}/policy", at, name=name),
            "change_policy": commands(request, example, path, "PUT", body),
            "locks": [lock | {"release": release(request, lock)} for lock in held],
            "more_locks": len(locks) - len(held),
        }

    async def _listed(self, request: Request, name: str, at: dict[str, str]) -> Record:
        cluster: Record = await self._api.get(request, "/cluster/{name}", at, name=name)
        newest = [] if at else await self._operations(request, name, 1)
        return cluster | {"newest": newest[0] if newest else None}

    async def _operations(self, request: Request, name: str, limit: int) -> list[Record]:
        query = {"cluster": name, "limit": str(limit)}
        found = await self._api.get(request, "/operations", query)
        return await self._waiting.lines(request, found)


def _linked(
    facet: str, counts: dict[str, int], cluster: str, at: dict[str, str]
) -> list[tuple[str, str, int, str]]:
    """Each value with its words, how many hosts have it, and where those are."""
    return [
        (
            value,
            word(value),
            count,
            f"/hosts?{urlencode({'cluster': cluster, facet: value} | at)}",
        )
        for value, count in counts.items()
        if value
    ]
