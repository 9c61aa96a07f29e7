"""`/clusters` and `/cluster/NAME`: members by state, what was done to them, what may be begun."""

import shlex
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from web.console.api import Api
from web.console.commands import commands
from web.console.now import line
from web.console.pages import Pages, past
from web.console.past import Past
from web.console.words import word
from web.events.histories import Histories
from web.http.requests import Request

HISTORY_MAX = 20
OPERATIONS_MAX = 10
CLUSTERS_MAX = 200

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Clusters:
    """The pages of clusters."""

    def __init__(self, api: Api, pages: Pages, histories: Histories, past: Past) -> None:
        self._api = api
        self._pages = pages
        self._histories = histories
        self._past = past

    async def show_all(self, request: Request) -> Response:
        """Every cluster with its members and the newest operation."""
        at = past(request)
        names = await self._api.get(request, "/clusters", at)
        return self._pages.show(
            request,
            "clusters.html",
            clusters=[await self._listed(request, name, at) for name in names[:CLUSTERS_MAX]],
            more=len(names) - CLUSTERS_MAX,
            commands=commands(request, "commctl cluster list", "/clusters"),
            **await self._past.shown(request),
        )

    async def show(self, request: Request) -> Response:
        """One cluster."""
        at, name = past(request), str(request.path_params["name"])
        cluster = await self._api.get(request, "/cluster/{name}", at, name=name)
        facets = await self._api.get(request, "/fleet/facets", {"cluster": name} | at)
        path = f"/cluster/{quote(name, safe='')}"
        shown = await self._past.shown(request)
        told = await self._histories.newest_of(f"cluster/{name}", HISTORY_MAX, shown.get("at", ""))
        return self._pages.show(
            request,
            "cluster.html",
            cluster=cluster,
            facets=[(n, _linked(n, facets[n], name, at)) for n in ("status", "kind", "os")],
            may_act=request.identity.may_act_in(name, "operator") and not at,
            operations=[] if at else await self._operations(request, name, OPERATIONS_MAX),
            history=told,
            commands=commands(request, f"commctl cluster show {shlex.quote(name)}", path),
            **shown,
        )

    async def _listed(self, request: Request, name: str, at: dict[str, str]) -> Record:
        cluster: Record = await self._api.get(request, "/cluster/{name}", at, name=name)
        newest = [] if at else await self._operations(request, name, 1)
        return cluster | {"newest": newest[0] if newest else None}

    async def _operations(self, request: Request, name: str, limit: int) -> list[Record]:
        query = {"cluster": name, "limit": str(limit)}
        return [line(record) for record in await self._api.get(request, "/operations", query)]


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
