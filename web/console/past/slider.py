"""Every page as it was: the slider over the time of the log, its steps, and the way to a time."""

import re
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from domain.event import shifted
from domain.log.recorder import POSITION_MAX
from domain.refusal import invalid
from projections.past.course import Course, Failures
from projections.past.steps import Steps
from web.console.frame.api import Api
from web.console.frame.pages import local, past, see_other, with_query
from web.console.frame.words import exact
from web.events.timeline import Timeline
from web.http.query_string import moment, number, parameters
from web.http.requests import Request

WIDTH = 1_000
"""The time of the log, in units of the picture."""
LANES = 4
TICK_WIDTH = 4
OPERATIONS_MAX = 100
HOUR_S = 3_600
BACK_S_MAX = 100 * 365 * 24 * HOUR_S

# Any: a record, as JSON has it.
Record = dict[str, Any]


class Bar(NamedTuple):
    """An operation, from when to when."""

    x: float
    width: float
    lane: int
    status: str
    title: str


class Tick(NamedTuple):
    """Hosts that failed at about the same time."""

    x: float
    title: str


class Step(NamedTuple):
    """A link to another time. `key`: what presses it on the slider."""

    title: str
    key: str
    link: str


class Slider(NamedTuple):
    """What the page of a time is laid out by."""

    begin: str
    end: str
    position: int
    x: float
    bars: list[Bar]
    ticks: list[Tick]
    steps: list[Step]
    diff: str
    """The address of what has changed since."""
    read_to: str
    """Where the log was not read for all failures yet, how far it was."""


class Past:
    """The time that a page is asked about."""

    def __init__(self, api: Api, timeline: Timeline) -> None:
        self._api = api
        self._timeline = timeline

    async def shown(self, request: Request) -> Record:
        """What a page shows of the time that it is about; of now, only that there is a past."""
        at = past(request)
        if not at:
            return {"has_past": True}
        when = moment(at["at"], "at")
        return {"at": when, "slider": await self.slider(request, when)}

    async def course(self) -> Course:
        """The course of the fleet up to now."""
        return await self._timeline.course()

    async def slider(self, request: Request, when: str) -> Slider:
        """The slider with its handle at a time."""
        steps = await self._timeline.steps(when)
        if when > max(steps.end, request.app.state.now()):
            raise invalid("at is in the future: nobody knows yet.", "at")
        course = await self._timeline.course()
        query = {"limit": str(OPERATIONS_MAX)}
        operations = await self._api.get(request, "/operations", query)
        scale = Scale(steps.begin, steps.end)
        return Slider(
            steps.begin,
            steps.end,
            steps.position,
            scale.x(when),
            _bars(scale, operations),
            _ticks(scale, course.failures),
            _steps(request, when, steps),
            f"/diff?{urlencode({'at': when, 'to': max(steps.end, when)})}",
            "" if course.is_whole else course.place.recorded_at,
        )

    async def place(self, when: str) -> float:
        """Where a time is on the slider."""
        steps = await self._timeline.steps(when)
        return Scale(steps.begin, steps.end).x(when)

    async def go(self, request: Request) -> Response:
        """Leads to a page as of a time, of a position of the log, or of so many seconds ago."""
        names = ("page", "at", "position", "back")
        given = parameters(request.scope["query_string"], names)
        page = re.sub(r"([?&])at=[^&]*&?", r"\1", local(given.get("page") or "/")).rstrip("?&")
        steps = await self._timeline.steps(request.app.state.now())
        if given.get("position"):
            position = number(given["position"].strip(), "position", 0, POSITION_MAX)
            when = await self._timeline.time_of(position)
        elif given.get("at"):
            when = moment(given["at"].strip(), "at")
        else:
            back = number(given.get("back") or "0", "back", 0, BACK_S_MAX)
            when = shifted(steps.end, -back) if steps.end else ""
        when = min(max(when, steps.begin), steps.end)
        between = "&" if "?" in page else "?"
        return see_other(f"{page}{between}{urlencode({'at': when})}" if when else page)


class Scale:
    """From times to places in the picture."""

    def __init__(self, begin: str, end: str) -> None:
        self._begin = begin
        self._length = _seconds(begin, end) or 1.0

    def x(self, time: str) -> float:
        """Where a time is."""
        share = _seconds(self._begin, time.rstrip("Z")) / self._length
        return round(WIDTH * min(max(share, 0.0), 1.0), 1)


def _seconds(begin: str, end: str) -> float:
    if not begin or not end:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _bars(scale: Scale, operations: list[Record]) -> list[Bar]:
    """Operations, oldest first, in as many lanes as they need, and no more than there are."""
    free = [-1.0] * LANES
    bars = []
    for op in reversed(operations):
        begin = scale.x(op["started_at"])
        end = max(scale.x(op["finished_at"]) if op["finished_at"] else WIDTH, begin + 2)
        lane = min(range(LANES), key=lambda number: (free[number] > begin, number))
        free[lane] = end
        title = f"{op['kind']} of {op['cluster']}, {op['status']}, {exact(op['started_at'])}"
        bars.append(Bar(begin, round(end - begin, 1), lane, op["status"], title))
    return bars


def _ticks(scale: Scale, failures: list[Failures]) -> list[Tick]:
    """Failures, where those that would be drawn over one another are one."""
    ticks: list[Tick] = []
    count, begun = 0, ""
    for failed in failures:
        x = scale.x(failed.time) // TICK_WIDTH * TICK_WIDTH
        is_same = bool(ticks) and ticks[-1].x == x
        count, begun = (count, begun) if is_same else (0, failed.time)
        count += failed.hosts
        hosts = "a host" if count == 1 else f"{count} hosts"
        tick = Tick(x, f"{hosts} failed from {exact(begun)} on")
        ticks[-1 if is_same else len(ticks) :] = [tick]
    return ticks


def _steps(request: Request, when: str, steps: Steps) -> list[Step]:
    """One event and one hour, each way, as far as the log goes."""
    hour_ago = max(shifted(when, -HOUR_S), steps.begin)
    in_an_hour = min(shifted(when, HOUR_S), steps.end)
    found = (
        ("First", "Home", steps.begin if steps.begin < when else ""),
        ("An hour back", "PageUp", hour_ago if hour_ago < when else ""),
        ("One event back", "ArrowLeft", steps.before),
        ("One event on", "ArrowRight", steps.after),
        ("An hour on", "PageDown", in_an_hour if in_an_hour > when else ""),
        ("Last", "End", steps.end if steps.end > when else ""),
    )
    return [Step(title, key, with_query(request, at=at) if at else "") for title, key, at in found]
