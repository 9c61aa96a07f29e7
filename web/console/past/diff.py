"""`/diff`: what appeared, what is gone, and what changed between two times."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from projections.past.states import Change
from web.console.frame import words
from web.console.frame.commands import commands
from web.console.frame.pages import Pages
from web.console.past.slider import Past
from web.events.timeline import Timeline
from web.http.query_string import moment, parameters
from web.http.requests import Request

SHOWN_MAX = 100
"""So many subjects of each sort."""
LISTED_MAX = 20
"""So many of a list that has changed."""


class Difference(NamedTuple):
    """A value that is another one."""

    name: str
    before: str
    after: str


class Changed(NamedTuple):
    """A subject that is not the same."""

    subject: str
    differences: list[Difference]


class Diff:
    """The page of two times."""

    def __init__(self, pages: Pages, past: Past, timeline: Timeline) -> None:
        self._pages = pages
        self._past = past
        self._timeline = timeline

    async def show(self, request: Request) -> Response:
        """What became of hosts and clusters from the earlier time to the later."""
        at, to = _times(request)
        found = await self._timeline.difference(at, to)
        query = urlencode({"since": at, "until": to})
        return self._pages.show(
            request,
            "diff.html",
            at=at,
            to=to,
            slider=await self._past.slider(request, at),
            x_to=await self._past.place(to),
            appeared=[each.subject for each in found if each.before is None],
            gone=[each.subject for each in found if each.after is None],
            changed=[*islice(_changed(found), SHOWN_MAX)],
            changes=sum(each.before is not None and each.after is not None for each in found),
            shown_max=SHOWN_MAX,
            events=f"/history?{query}",
            commands=commands(request, ("diff", at, to), f"/events?{query}"),
        )


def _times(request: Request) -> tuple[str, str]:
    """The two times, the earlier first; now where one is not said."""
    given, now = parameters(request.scope["query_string"], ("at", "to")), request.app.state.now()
    at, to = (moment(given.get(name) or now, name) for name in ("at", "to"))
    return min(at, to), max(at, to)


def _changed(found: list[Change]) -> Iterator[Changed]:
    for each in found:
        if each.before is not None and each.after is not None:
            names = each.after.keys()
            told = [_difference(name, each.before[name], each.after[name]) for name in names]
            yield Changed(each.subject, told)


# Any: a value of JSON.
def _difference(name: str, before: Any, after: Any) -> Difference:
    if isinstance(before, list) and isinstance(after, list):
        was, becomes = set(before), set(after)  # addresses
        gone, come = [e for e in before if e not in becomes], [e for e in after if e not in was]
        before, after = (gone, come) if gone or come else (before, after)
    if name in words.KILOBYTES:
        return Difference(name, words.value(before, name), words.value(after, name))
    return Difference(name, _told(before), _told(after))


def _told(value: Any) -> str:
    match value:
        case None | "":
            return "–"
        case dict() | list() if not value:
            return "–"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key}={_told(each)}" for key, each in value.items())
        case list():
            told = [str(each) for each in value[:LISTED_MAX]]
            more = len(value) - LISTED_MAX
            return ", ".join([*told, f"and {more} more"] if more > 0 else told)
        case _:
            return str(value)
