"""`/history`: who did what, newest first; what an event follows from; all of it as a file."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.responses import Response, StreamingResponse

from domain.all_events import TYPES
from domain.log.reading.search import Filter
from domain.log.recorder import POSITION_MAX
from web.console.frame.api import Api
from web.console.frame.commands import Commands, commands
from web.console.frame.live import Fragment, Live
from web.console.frame.pages import Pages, past
from web.console.past import charts
from web.console.past.charts import Chart
from web.console.past.sheets import HEADERS, csv_row
from web.console.past.slider import Past
from web.events.events import filter_of
from web.events.histories import Histories
from web.http.query_string import moment, number, parameters
from web.http.replies import NO_STORE, NOSNIFF
from web.http.requests import Request

PAGE_EVENTS = 50
TOLD_MAX = 50_000
"""So many characters of an event are shown: the beginning of an operation names every host."""
EXPORTED_MAX = 50_000
EXPORTED_AT_ONCE = 500
FILTERS = ("subject", "type", "actor", "since", "until")

# Any: a record, as JSON has it.
Record = dict[str, Any]


class History:
    """The pages of what happened."""

    def __init__(
        self, api: Api, pages: Pages, histories: Histories, live: Live, past: Past
    ) -> None:
        self._api = api
        self._pages = pages
        self._histories = histories
        self._live = live
        self._past = past

    async def show(self, request: Request) -> Response:
        """The newest events that the query asks for, or those before a position."""
        given, at = _given(request), past(request)
        before, until = _before(request), _which(request).until
        told = given | ({"until": until} if until else {})
        is_live = not (before or at or "until" in given)
        query = urlencode(given)
        return self._pages.show(
            request,
            "history.html",
            view=f"/live/history?{query}" if is_live else "",
            given=given,
            types=TYPES,
            is_first=before is None,
            chart=None if before or given else await self._chart(request),
            query=urlencode(told),
            commands=_commands(request, told),
            **await self._seen(request) | await self._past.shown(request),
        )

    async def _chart(self, request: Request) -> Chart | None:
        at = past(request)
        end = moment(at["at"], "at") if at else request.app.state.now()
        return charts.of_fleet(await self._past.course(), end)

    async def follow(self, request: Request) -> Response:
        """The same, with what happens on top."""
        given = _given(request)
        return self._live.stream(request, filter_of(given), self._rendered, urlencode(given))

    async def _rendered(self, request: Request) -> Fragment:
        shown = await self._seen(request)
        return Fragment(self._pages.fragment(request, "live/history.html", **shown))

    async def _seen(self, request: Request) -> Record:
        page = await self._histories.back(_which(request), _before(request), PAGE_EVENTS)
        given = _given(request)
        older = given | past(request) | {"before": str(page.next)}
        return {
            "records": page.records,
            "older": f"/history?{urlencode(older)}" if page.next else "",
            "is_filtered": bool(given),
        }

    async def show_event(self, request: Request) -> Response:
        """One event, and the tree of causes that it is in."""
        position = number(str(request.path_params["position"]), "position", 1, POSITION_MAX)
        tree = await self._histories.causes(position)
        query = {"after": str(position - 1), "limit": "1"}
        (event,) = await self._api.get(request, "/events", query)
        told = orjson.dumps(event, option=orjson.OPT_INDENT_2).decode()
        return self._pages.show(
            request,
            "event.html",
            position=position,
            event=event,
            told=told[:TOLD_MAX],
            is_cut=len(told) > TOLD_MAX,
            tree=tree,
            commands=commands(
                request, ("diff", f"@{position - 1}", f"@{position}"), f"/events?{urlencode(query)}"
            ),
        )

    async def export_csv(self, request: Request) -> Response:
        """What the query asks for as a sheet, newest first."""
        return _file(self._rows(_which(request)), "text/csv; charset=utf-8", "history.csv")

    async def export_json(self, request: Request) -> Response:
        """What the query asks for as one JSON list, newest first."""
        return _file(self._list(_which(request)), "application/json", "history.json")

    async def _rows(self, which: Filter) -> AsyncIterator[bytes]:
        yield csv_row(HEADERS)
        async for record in self._all(which):
            yield csv_row([record.get(name) or "" for name in HEADERS])

    async def _list(self, which: Filter) -> AsyncIterator[bytes]:
        between = b"[\n"
        async for record in self._all(which):
            yield between + orjson.dumps(record)
            between = b",\n"
        yield b"[]\n" if between == b"[\n" else b"\n]\n"

    async def _all(self, which: Filter) -> AsyncIterator[Record]:
        before, left = None, EXPORTED_MAX
        while left > 0:
            page = await self._histories.back(which, before, min(left, EXPORTED_AT_ONCE))
            for record in page.records:
                yield record
            left -= len(page.records)
            if page.next is None:
                return
            before = page.next


def _file(content: AsyncIterator[bytes], kind: str, name: str) -> Response:
    answer = StreamingResponse(content, media_type=kind)
    disposition = f'attachment; filename="{name}"'.encode()
    answer.raw_headers += [NO_STORE, NOSNIFF, (b"content-disposition", disposition)]
    return answer


def _given(request: Request) -> dict[str, str]:
    """The filters that say something."""
    given = parameters(request.scope["query_string"], FILTERS)
    return {name: text.strip() for name, text in given.items() if text.strip()}


def _which(request: Request) -> Filter:
    """The filter of the query; of the past, nothing later."""
    which, at = filter_of(_given(request)), past(request)
    until = min(filter(None, (which.until, moment(at["at"], "at") if at else None)), default=None)
    return which._replace(until=until)


def _before(request: Request) -> int | None:
    text = parameters(request.scope["query_string"], ("before",)).get("before")
    return number(text, "before", 1, POSITION_MAX) if text else None


def _commands(request: Request, given: dict[str, str]) -> Commands:
    words = ["history"]
    for name in FILTERS[1:]:
        words += [f"--{name}", given[name]] if name in given else []
    subject = given.get("subject", "")
    words += ["--"] if subject.startswith("-") else []  # after it nothing is an option
    words += [subject] if subject else []
    return commands(request, words, f"/events?{urlencode(given)}")
