"""`/hosts`: facets, find, filters and pages; what is done to many at once."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from domain.labels import label_pair
from domain.log.reading.search import Filter
from domain.refusal import invalid
from web.console.fleet.maps import MAP_FROM
from web.console.frame.api import Api
from web.console.frame.commands import commands
from web.console.frame.live import Fragment, Live
from web.console.frame.page_route import Form, one
from web.console.frame.pages import Pages, past, see_other
from web.console.past.slider import Past
from web.http.requests import Request

FACETS_FROM = 20
"""Fewer hosts are seen at a glance."""
VALUES_SHOWN = 8
FILTERS = ("q", "status", "kind", "cluster", "os", "label", "reboot_needed")
PLACE = ("after", "limit", "sort")
SORTS = ("address", "since", "status", "kind", "cluster", "os")
MARKED_MAX = 1_000

# Any: a record, as JSON has it.
Record = dict[str, Any]
Pairs = list[tuple[str, str]]


class Value(NamedTuple):
    """A value of a facet, how many hosts have it, and the address that adds or drops it."""

    text: str
    hosts: int
    link: str
    is_on: bool


class Facet(NamedTuple):
    """What hosts are told apart by."""

    name: str
    values: list[Value]
    more: int


class Hosts:
    """The list of hosts, and its forms."""

    def __init__(self, api: Api, pages: Pages, live: Live, past: Past) -> None:
        self._api = api
        self._pages = pages
        self._live = live
        self._past = past

    async def show(self, request: Request) -> Response:
        """A page of the hosts that the query asks for."""
        at, given = past(request), _given(request)
        wanted = _wanted(given)
        marks = {"marks": "1"} if request.identity.may_act_as("operator") else {}
        live = _query([*wanted, *_place(given), *marks.items()])
        return self._pages.show(
            request,
            "hosts.html",
            view="" if at else f"/live/hosts{live}",
            kept=[pair for pair in [*wanted, *at.items()] if pair[0] != "q"],
            commands=commands(
                request, _commctl(wanted), f"/fleet/hosts{_query([*wanted, *at.items()])}"
            ),
            marks=bool(marks) and not at,
            **await self._seen(request) | await self._past.shown(request),
        )

    async def follow(self, request: Request) -> Response:
        """The rows of the same page, whenever they change."""
        await self._seen(request)
        query = request.scope["query_string"].decode("ascii", "replace")
        return self._live.stream(request, Filter(), self._rendered, query)

    async def _rendered(self, request: Request) -> Fragment:
        seen = await self._seen(request)
        marks = ("marks", "1") in _given(request)
        shown = self._pages.fragment(request, "live/hosts.html", marks=marks, is_news=True, **seen)
        return Fragment(shown)

    async def _seen(self, request: Request) -> Record:
        at, given = past(request), _given(request)
        wanted = _wanted(given)
        asked = [*wanted, *_place(given), *at.items()]
        hosts, after = await self._api.page(request, "/fleet/hosts", asked)
        facets = await self._api.get(request, "/fleet/facets", [*wanted, *at.items()])
        return {"hosts": hosts, "after": after} | _narrowing(facets, given, wanted)

    async def check(self, request: Request, form: Form) -> Response:
        """Have the marked hosts looked at now, or `all` that match."""
        if one(form, "all"):
            body = _filters(parse_qsl(one(form, "query")))
            await self._api.change(request, "POST", "/fleet/check", body)
            return see_other(_back(form))
        for address in _marked(form):
            await self._api.change(request, "POST", "/host/{address}/check", {}, address=address)
        return see_other(_back(form))

    async def plan(self, request: Request, form: Form) -> Response:
        """Go on to the form of an operation on the marked hosts."""
        marked, given = _marked(form), parse_qsl(one(form, "query"))
        shown, _ = await self._api.page(request, "/fleet/hosts", [*_wanted(given), *_place(given)])
        of = {host["address"]: host["cluster"] or "" for host in shown}
        clusters = {of.get(address, "") for address in marked}
        if len(clusters) > 1 or "" in clusters:
            raise invalid("An operation is on hosts of one cluster: mark such.", "address")
        asked = {"cluster": clusters.pop(), "hosts": " ".join(marked)}
        return see_other(f"/operations/new?{urlencode(asked)}")

    async def label(self, request: Request, form: Form) -> Response:
        """Give the marked hosts a label more, or take one from them (`key-`)."""
        wanted, note = one(form, "label"), one(form, "note")
        for address in _marked(form):
            labels = await self._api.get(request, "/host/{address}/labels", address=address)
            await self._api.change(
                request,
                "PUT",
                "/host/{address}/labels",
                relabelled(labels, wanted),
                note,
                address=address,
            )
        return see_other(_back(form))


def _wanted(given: Pairs) -> Pairs:
    return [pair for pair in given if pair[0] in FILTERS and pair[1]]


def _place(given: Pairs) -> Pairs:
    return [pair for pair in given if pair[0] in PLACE and pair[1]]


def _narrowing(facets: Record, given: Pairs, wanted: Pairs) -> Record:
    """How many hosts match, and what narrows, widens and sorts the list."""
    asked = dict(given)
    return {
        "total": facets["total"],
        "statuses": list(facets["status"].items()),
        "map": _map(given) if facets["total"] >= MAP_FROM else "",
        "is_first": not asked.get("after"),
        "q": dict(wanted).get("q", ""),
        "filters": [(f"{name}: {text}", _without(given, (name, text))) for name, text in wanted],
        "facets": _facets(facets, given) if wanted or facets["total"] > FACETS_FROM else [],
        "sorts": [(name, _address(_with(given, "sort", name))) for name in SORTS],
        "sort": asked.get("sort") or "address",
    }


def _map(given: Pairs) -> str:
    """Where the map of all that match is drawn from."""
    return f"/map/hosts{_query([pair for pair in given if pair[0] not in PLACE and pair[1]])}"


def relabelled(labels: Record, wanted: str) -> Record:
    """The labels with one more (`key=value`), or without one (`key-`). Refuses what is neither."""
    if wanted.endswith("-") and "=" not in wanted:
        return {key: value for key, value in labels.items() if key != wanted[:-1]}
    key, value = label_pair(wanted)
    return labels | {key: value}


def _marked(form: Form) -> list[str]:
    addresses = form.get("address", [])
    if not addresses:
        raise invalid("No host is marked: mark some in the list first.", "address")
    if len(addresses) > MARKED_MAX:
        raise invalid(f"More than {MARKED_MAX} hosts are marked.", "address")
    return addresses


def _filters(given: Pairs) -> Record:
    body: Record = {name: value for name, value in given if name in FILTERS and name != "label"}
    labels = [value for name, value in given if name == "label"]
    return body | ({"label": labels} if labels else {})


def _back(form: Form) -> str:
    """The list as it was."""
    query = one(form, "query")
    return f"/hosts?{query}" if query else "/hosts"


def _given(request: Request) -> Pairs:
    return parse_qsl(request.scope["query_string"].decode("ascii", "replace"))


def _facets(counts: Record, given: Pairs) -> list[Facet]:
    named = [(name, name, counts[name]) for name in ("status", "kind", "cluster", "os")]
    found = [_facet(name, key, values.items(), given) for name, key, values in named]
    for key, values in counts["labels"].items():
        pairs = [(f"{key}={value}", count) for value, count in values.items()]
        found.append(_facet(key, "label", pairs, given))
    return [facet for facet in found if facet.values]


def _facet(name: str, key: str, counted: Iterable[tuple[str, int]], given: Pairs) -> Facet:
    values = [
        Value(text, count, _toggled(given, key, text), (key, text) in given)
        for text, count in counted
        if text
    ]
    return Facet(name, values[:VALUES_SHOWN], len(values) - VALUES_SHOWN)


def _toggled(given: Pairs, key: str, text: str) -> str:
    if (key, text) in given:
        return _without(given, (key, text))
    return _address([*given, (key, text)] if key == "label" else _with(given, key, text))


def _with(given: Pairs, key: str, text: str) -> Pairs:
    return [pair for pair in given if pair[0] != key] + [(key, text)]


def _without(given: Pairs, dropped: tuple[str, str]) -> str:
    return _address([pair for pair in given if pair != dropped])


def _address(pairs: Pairs) -> str:
    """Of the first page."""
    return f"/hosts{_query([pair for pair in pairs if pair[0] != 'after'])}"


def _query(pairs: Pairs) -> str:
    return f"?{urlencode(pairs)}" if pairs else ""


def _commctl(wanted: Pairs) -> list[str]:
    """`commctl host list` with the filters that it has."""
    options = {"status": "--status", "kind": "--why", "cluster": "-c"}
    words = ["host", "list"]
    for name, value in wanted:
        if name in options:
            words += [options[name], value]
        elif name == "label":
            words.append(value)
        elif name == "os":
            words.append(f"os={value}")
    return words
