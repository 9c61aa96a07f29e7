"""`/`: what needs a person, and what runs."""

from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.responses import Response

from domain.log.reading.search import Filter
from projections.fleet.overview import Matrix
from web.console.fleet.maps import Maps
from web.console.frame.api import Api
from web.console.frame.commands import Commands, commands
from web.console.frame.live import Fragment, Live
from web.console.frame.pages import Pages, past
from web.console.frame.waiting import Waiting, waits_for_approval, why_not
from web.console.frame.words import word
from web.console.past.slider import Past
from web.events.histories import Histories
from web.http.query_string import moment
from web.http.requests import Request

CHANGES_MAX = 20
CLUSTERS_MAX = 24
OPERATIONS_MAX = 1_000
MATRIX_FROM = 200
"""From so many hosts on clusters are a table of counts."""
STATUSES = ("failed", "active", "disassociated", "bootstrapping", "investigating")

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Need(NamedTuple):
    """What a person has to do: one cause, with what mends it."""

    title: str
    total: int
    cure: str
    hosts: list[str]
    more: int
    link: str
    commands: Commands


class Row(NamedTuple):
    """A cluster: of each status, how many hosts, and where those are."""

    cluster: str
    total: int
    cells: list[tuple[str, int, str]]


class Table(NamedTuple):
    """Clusters by status."""

    statuses: list[str]
    rows: list[Row]


class Now:
    """The first page."""

    def __init__(
        self,
        api: Api,
        pages: Pages,
        histories: Histories,
        live: Live,
        past: Past,
        maps: Maps,
        waiting: Waiting,
    ) -> None:
        self._api = api
        self._pages = pages
        self._histories = histories
        self._live = live
        self._past = past
        self._maps = maps
        self._waiting = waiting

    async def show(self, request: Request) -> Response:
        """What needs a person, what runs, the clusters, and what changed last."""
        seen = await self._seen(request)
        approvals = [op for op in seen["operations"] if waits_for_approval(op)]
        return self._pages.show(
            request,
            "now.html",
            view="" if past(request) else f"/live/now?{urlencode({'state': _state(seen)})}",
            yours=[op for op in approvals if not why_not(request.identity, op)],
            commands=commands(request, ("status",), "/fleet"),
            **seen | await self._past.shown(request),
        )

    async def follow(self, request: Request) -> Response:
        """The same, whenever it changes."""
        return self._live.stream(request, Filter(), self._rendered)

    async def _rendered(self, request: Request) -> Fragment:
        seen = await self._seen(request)
        return Fragment(self._pages.fragment(request, "live/now.html", **seen), _state(seen))

    async def _seen(self, request: Request) -> Record:
        at = past(request)
        fleet = await self._api.get(request, "/fleet", at)
        until = moment(at["at"], "at") if at else None
        is_large = fleet["hosts"]["total"] >= MATRIX_FROM
        operations = await self._operations(request, fleet["operations"])
        return {
            "at": until or "",
            "total": fleet["hosts"]["total"],
            "statuses": fleet["hosts"]["status"],
            "needs": _needs(request, fleet, {op["id"]: op for op in operations}),
            "operations": operations,
            "clusters": [] if is_large else await self._clusters(request, fleet, at),
            "matrix": _matrix(await self._maps.matrix(request), at) if is_large else None,
            "cluster_count": len([name for name in fleet["hosts"]["cluster"] if name]),
            "changes": await self._histories.newest(CHANGES_MAX, until),
        }

    async def _operations(self, request: Request, running: list[Record]) -> list[Record]:
        """What runs; of what waits for an approval also its waves, which say of whom."""
        if any(waits_for_approval(op) for op in running):
            query = {"status": "in_process", "limit": str(OPERATIONS_MAX)}
            listed = await self._api.get(request, "/operations", query)
            whole = {record["id"]: record for record in listed}
            running = [whole.get(op["id"], op) for op in running]
        return await self._waiting.lines(request, running)

    async def _clusters(self, request: Request, fleet: Record, at: Record) -> list[Record]:
        if at:
            found = [(name, count) for name, count in fleet["hosts"]["cluster"].items() if name]
            return [_counted(name, count) for name, count in found[:CLUSTERS_MAX]]
        names = await self._api.get(request, "/clusters")
        return [
            await self._api.get(request, "/cluster/{name}", name=name)
            for name in names[:CLUSTERS_MAX]
        ]


def _matrix(found: Matrix, at: Record) -> Table:
    """The clusters with most trouble first: where hosts failed, and then the largest."""
    statuses = [name for name in STATUSES if any(name in counts for counts in found.values())]
    worst = sorted(
        found.items(), key=lambda each: (-each[1].get("failed", 0), -sum(each[1].values()), each[0])
    )
    return Table(
        statuses,
        [
            Row(
                name,
                sum(counts.values()),
                [(s, counts.get(s, 0), _link(name, s, at)) for s in statuses],
            )
            for name, counts in worst[:CLUSTERS_MAX]
        ],
    )


def _link(cluster: str, status: str, at: Record) -> str:
    """Hosts in no cluster are not asked for by one."""
    asked = {"cluster": cluster, "status": status} if cluster else {"status": status}
    return f"/hosts?{urlencode(asked | at)}"


def _counted(name: str, count: int) -> Record:
    return {"name": name, "status": "", "hosts": {"total": count, "unavailable": 0}}


def _state(seen: Record) -> str:
    """What says which waves can be approved."""
    waits = [op for op in seen["operations"] if waits_for_approval(op)]
    return " ".join(f"{op['id']}-{op.get('wave')}" for op in waits)


def _needs(request: Request, fleet: Record, operations: Record) -> list[Need]:
    """Host keys and unknown outcomes, which only a person can decide on, come first."""
    needs = [_need(request, each, operations) for each in fleet["needs_a_person"]]
    return needs + [
        _failed(request, each) for each in fleet["failed"] if each["kind"] != "host_key"
    ]


def _need(request: Request, record: Record, operations: Record) -> Need:
    if record["what"] in ("stale_source", "given_up_webhook", "failing_webhook"):
        kind = "source" if record["what"] == "stale_source" else "webhook"
        path = f"events?subject={kind}/{quote(record[kind], safe='')}"
        told = commands(request, ("api", "GET", path), f"/{path}")
        title = f"{word(record['what'])}: {record[kind]}"
        return _told(record, title, f"/history?{path.partition('?')[2]}", told)
    if record["what"] in ("approval", "soak"):
        return _stopped(request, record, operations.get(record["operation"]))
    if record["what"] != "unknown_outcome":
        return _failed(request, record)
    name = record["operation"]
    told = commands(request, ("op", "retry", name), f"/operation/{name}/retry", "PUT", {})
    return _told(record, word("unknown_outcome"), f"/operation/{name}", told)


def _stopped(request: Request, record: Record, operation: Record | None) -> Need:
    """An operation between two waves, and who lets it go on."""
    name, cure = record["operation"], record["cure"]
    path = f"/operation/{name}"
    told = commands(request, ("op", "show", name), path)
    if operation is not None:
        begun = f"It is the {operation['kind']} of {operation['cluster']} by {operation['actor']}."
        cure = f"{begun} {operation['wait'].who or cure}"
        if record["what"] == "approval" and operation.get("wave"):
            body = {"wave": operation["wave"] + 1}
            told = commands(request, ("op", "approve", name), f"{path}/approval", "PUT", body)
    return _told(record | {"cure": cure}, record["reason"], path, told)


def _failed(request: Request, record: Record) -> Need:
    kind = record["kind"]
    link = f"/hosts?kind={kind}"
    if kind == "host_key":
        address = record["hosts"][0]
        shown = commands(
            request,
            ("host", "hostkey", "show", address),
            f"/host/{quote(address, safe='')}/hostkey",
        )
    else:
        shown = commands(
            request, ("host", "list", "--why", kind), "/fleet/check", "POST", {"kind": kind}
        )
    return _told(record, word(kind), link, shown)


def _told(record: Record, title: str, link: str, told: Commands) -> Need:
    hosts = record["hosts"]
    more = record["count"] - len(hosts) if hosts else 0
    return Need(title, record["count"], record["cure"], hosts, more, link, told)
