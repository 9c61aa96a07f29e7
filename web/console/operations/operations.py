"""`/operations` and `/operation/ID`: what was and is done, host by host, and how it is steered."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.responses import Response

from domain.aggregates import rolling_policy
from domain.aggregates.rolling_policy import Options
from domain.log.reading.search import Filter
from web.console.frame import figures
from web.console.frame.api import Api
from web.console.frame.commands import Commands, commands
from web.console.frame.live import Fragment, Live
from web.console.frame.page_route import Form, one
from web.console.frame.pages import Pages, see_other
from web.console.frame.waiting import Waiting, waits_for_approval, why_not
from web.console.past import charts
from web.http.requests import Request

FILTERS = ("cluster", "status", "kind", "actor")
ROWS_MAX = 200
"""So many hosts in the table: what went wrong and what is worked on come first."""
CELLS_MAX = 1_500
"""More hosts are on a map of their own."""
QUIET = ("waiting", "done", "skipped")
QUIET_FROM, QUIET_ROWS = 50, 10
"""Of more hosts so many rows of each outcome that asks for nobody."""
URGENCY = ("failed", "unknown", "in_process", "waiting", "done", "skipped")
STEERS = {
    "in_process": (("paused", "Pause", "pause"), ("cancelled", "Cancel", "cancel")),
    "paused": (("in_process", "Resume", "resume"), ("cancelled", "Cancel", "cancel")),
}
RETRIED = ("failed", "partial", "cancelled")

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Gauge(NamedTuple):
    """A limit, and how much of it is used."""

    title: str
    used: int
    limit: int
    text: str
    is_harm: bool = False
    """What is used of it is bad news: the more, the worse."""


class Steer(NamedTuple):
    """A form that steers an operation."""

    state: str
    title: str
    commands: Commands


class Operations:
    """The pages of operations, and the forms that steer them."""

    def __init__(self, api: Api, pages: Pages, live: Live, waiting: Waiting) -> None:
        self._api = api
        self._pages = pages
        self._live = live
        self._waiting = waiting

    async def show_all(self, request: Request) -> Response:
        """Operations, newest first, or those that the query asks for."""
        wanted, is_first = _wanted(request), not request.query_params.get("after")
        options = {"cluster": "-c", "status": "--status"}
        told = ["op", "list"]
        for name in options:
            told += [options[name], wanted[name]] if name in wanted else []
        return self._pages.show(
            request,
            "operations.html",
            view=f"/live/operations?{urlencode(wanted)}" if is_first else "",
            is_first=is_first,
            commands=commands(request, told, "/operations"),
            **await self._all(request),
        )

    async def follow_all(self, request: Request) -> Response:
        """The same, whenever one begins, goes on or ends."""
        await self._all(request)
        return self._live.stream(request, Filter(), self._all_rendered, urlencode(_wanted(request)))

    async def _all_rendered(self, request: Request) -> Fragment:
        shown = await self._all(request)
        return Fragment(self._pages.fragment(request, "live/operations.html", **shown))

    async def _all(self, request: Request) -> Record:
        wanted, after = _wanted(request), request.query_params.get("after")
        place = {"after": after} if after else {}
        records, following = await self._api.page(request, "/operations", wanted | place)
        return {
            "operations": await self._waiting.lines(request, records),
            "filters": list(wanted.items()),
            "after": following,
        }

    async def show(self, request: Request) -> Response:
        """One operation: hosts in order of turn, limits, what is not done, and steering."""
        found = await self._found(request)
        name, path = found["id"], f"/operation/{found['id']}"
        return self._pages.show(
            request,
            "operation.html",
            view="" if found["finished_at"] else f"/live{path}?state={_state(found)}",
            steers=_steers(request, found),
            approves=_approves(request, found),
            why_not=why_not(request.identity, found) if waits_for_approval(found) else "",
            may_act=request.identity.may_act_in(found["cluster"], "operator"),
            may_retry=found["status"] in RETRIED,
            retry=commands(request, ("op", "retry", name), f"{path}/retry", "PUT", {}),
            commands=commands(request, ("op", "watch", name), path),
            **await self._seen(request, found),
        )

    async def follow(self, request: Request) -> Response:
        """The same, whenever it changes."""
        found = await self._found(request)
        # Of its cluster come locks, which may hold it up.
        which = Filter((f"operation/{found['id']}", f"cluster/{found['cluster']}"))
        return self._live.stream(request, which, self._rendered)

    async def _rendered(self, request: Request) -> Fragment:
        found = await self._found(request)
        seen = await self._seen(request, found)
        html = self._pages.fragment(request, "live/operation.html", is_news=True, **seen)
        return Fragment(html, _state(found))

    async def _seen(self, request: Request, found: Record) -> Record:
        (op,) = await self._waiting.lines(request, [found])
        return _seen(op, request.app.state.now())

    async def _found(self, request: Request) -> Record:
        name = str(request.path_params["id"])
        found: Record = await self._api.get(request, "/operation/{id}", id=name)
        return found

    async def steer(self, request: Request, form: Form) -> Response:
        """Pause, resume or cancel."""
        name = str(request.path_params["id"])
        body, note = {"state": one(form, "state")}, one(form, "note")
        await self._api.change(request, "PUT", "/operation/{id}/state", body, note, id=name)
        return see_other(_page(name))

    async def approve(self, request: Request, form: Form) -> Response:
        """Approve the next wave."""
        name, text = str(request.path_params["id"]), one(form, "wave")
        body = {"wave": int(text) if text.isascii() and text.isdigit() else text}
        note = one(form, "note")
        await self._api.change(request, "PUT", "/operation/{id}/approval", body, note, id=name)
        return see_other(_page(name))

    async def retry(self, request: Request, form: Form) -> Response:
        """Begin anew over what was left undone."""
        name, note = str(request.path_params["id"]), one(form, "note")
        begun = await self._api.change(request, "PUT", "/operation/{id}/retry", {}, note, id=name)
        return see_other(_page(begun["id"]))


def _wanted(request: Request) -> dict[str, str]:
    given = request.query_params
    return {name: given[name] for name in FILTERS if given.get(name)}


def _state(found: Record) -> str:
    """What says what can be pressed."""
    if waits_for_approval(found):
        return f"approval-{found['wave']}"
    return f"{found['status']}-cancelling" if found["cancelling"] else str(found["status"])


def _approves(request: Request, found: Record) -> Commands | None:
    if not waits_for_approval(found):
        return None
    path, body = f"/operation/{found['id']}/approval", {"wave": found["wave"] + 1}
    return commands(request, ("op", "approve", found["id"]), path, "PUT", body)


def _seen(found: Record, now: str) -> Record:
    """What everybody sees of an operation: the strip, the limits, and the table."""
    hosts = found["hosts"]
    taken = [(h["address"], h["outcome"]) for h in hosts if h["outcome"] != "skipped"]
    rows = sorted(hosts, key=lambda host: URGENCY.index(host["outcome"]))
    shown = rows if len(rows) <= QUIET_FROM else _telling(rows)
    return {
        "op": found,
        "map": _map(found),
        "strip": figures.strip(taken if len(taken) <= CELLS_MAX else [], found["counts"]),
        "chart": charts.of_operation(found, now),
        "gauges": _gauges(found),
        "rows": [row | {"evidence": evidence(row)} for row in shown],
        "more": len(rows) - len(shown),
    }


def _telling(rows: list[Record]) -> list[Record]:
    """What went wrong and what is worked on; of the others, some of each."""
    left = dict.fromkeys(QUIET, QUIET_ROWS)
    shown = []
    for row in rows:
        if row["outcome"] in left:
            left[row["outcome"]] -= 1
        if left.get(row["outcome"], 0) >= 0:
            shown.append(row)
    return shown[:ROWS_MAX]


def _map(found: Record) -> str:
    """Where the map of many hosts is drawn from."""
    return f"/map/operation/{found['id']}" if len(found["hosts"]) > CELLS_MAX else ""


def _page(name: str) -> str:
    return f"/operation/{quote(name, safe='')}"


def _gauges(found: Record) -> list[Gauge]:
    """The limits in hosts, as they come out for those that it takes."""
    counts, options = found["counts"], found["options"]
    taken = sum(counts.values()) - counts["skipped"]
    limits = rolling_policy.limits(Options(**options), taken, taken)
    failed = counts["failed"] + counts["unknown"]
    return [
        Gauge(
            "At once",
            counts["in_process"],
            limits.parallel,
            f"{counts['in_process']} of {limits.parallel} in process",
        ),
        Gauge(
            "Failures",
            failed,
            limits.failures,
            f"{failed} failed or unknown of {limits.failures} allowed",
            is_harm=True,
        ),
        Gauge("Done", counts["done"], taken, f"{counts['done']} of {taken} done"),
    ]


def _steers(request: Request, found: Record) -> list[Steer]:
    """What can be pressed; nothing once it is being cancelled."""
    if found["cancelling"]:
        return []
    path = f"/operation/{found['id']}/state"
    return [
        Steer(
            state,
            title,
            commands(request, ("op", verb, found["id"]), path, "PUT", {"state": state}),
        )
        for state, title, verb in STEERS.get(found["status"], ())
    ]


def evidence(host: Record) -> Sequence[tuple[str, str]]:
    """What proves an outcome, as pairs."""
    return [(name, str(value)) for name, value in host["evidence"].items()]
