"""The event log over HTTP, as CloudEvents."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlencode

from domain.all_events import TYPES
from domain.log.continuity import is_lost
from domain.log.reading import search
from domain.log.reading.search import Filter
from domain.log.recorder import POSITION_MAX, head
from domain.log.transaction import Transaction
from domain.names import host_address
from domain.refusal import Refusal, conflict, invalid, unavailable
from projections.reads import Reads
from web.events.cloud_events import BATCH_TYPE, batch, cloud_event
from web.events.event_stream import EventStream
from web.events.live_window import EventWindow
from web.http.query_string import TEXT, TEXT_CHARACTERS_MAX, moment, number, parameters, repeated
from web.http.replies import INERT, NOSNIFF, REVALIDATE, Header, Reply, tagged
from web.http.requests import Request

LIMIT = 100
LIMIT_MAX = 1000
PAGE_BYTES_MAX = 1024 * 1024
PATH = "/api/v0/events"
SUBJECTS_MAX = 50
"""So many subjects one stream may be of."""
PARAMETERS = ("after", "limit", "subject", "type", "actor", "since", "until")

BATCH: Header = (b"content-type", BATCH_TYPE.encode())


class Wanted(NamedTuple):
    """What a query asks for."""

    which: Filter
    after: int
    limit: int


class Events:
    """The handlers of `/events` and `/events/stream`."""

    def __init__(self, reads: Reads, window: EventWindow, listeners_max: int) -> None:
        self._reads = reads
        self._window = window
        self._listeners_max = listeners_max

    async def index(self, request: Request) -> Reply:
        """A page of the event log, oldest first.

        Where the log goes on beyond it, `Link` has the address of the next one, also where
        nothing was found so far: a page ends after so many events that were looked at.
        """
        wanted = wanted_of(request.scope["query_string"])
        body, position = await self._reads.fresh(_page, wanted)
        headers = [BATCH, REVALIDATE, NOSNIFF, INERT]
        if position is not None:
            headers.append((b"link", _next(wanted, position)))
        return tagged(request, body, headers)

    async def stream(self, request: Request) -> EventStream:
        """The event log as it grows, as server-sent events.

        It begins with what happens next, or after `Last-Event-ID` (or `after`, or at `since`).
        """
        query = request.scope["query_string"]
        given = parameters(query, [name for name in PARAMETERS if name != "subject"])
        for name in ("limit", "until"):
            if name in given:
                raise invalid(f"{name} is for /events: a stream goes on and on.", name)
        which = filter_of(given, repeated(query, "subject"))
        resumed = _resumed(request)
        after = resumed or given.get("after")
        if self._window.listeners >= self._listeners_max:
            raise unavailable(f"{self._window.listeners} event streams are open already.")
        position = self._window.head
        if after is not None or which.since is not None:
            name = "Last-Event-ID" if resumed else "after"
            start = number(after or "0", name, 0, POSITION_MAX)
            position = await self._reads.fresh(_start, start, which.since)
        which = which._replace(since=None)
        return EventStream(self._window, self._reads, position, which, request.is_admitted)


def _resumed(request: Request) -> str | None:
    for name, value in request.scope["headers"]:
        if name == b"last-event-id":
            return str(value, "latin-1")
    return None


def _start(tx: Transaction, after: int, since: str | None) -> int:
    newest = head(tx).position
    if after > newest:
        raise conflict(
            f"The log ends at {newest}: position {after} is of another one, or of what was lost"
            " when a backup was restored. Begin without it."
        )
    if is_lost(tx, after):
        raise conflict(
            f"Position {after} was lost when the log went back. Begin without it, or after a"
            " position before that (an event of the type log.went_back tells which)."
        )
    return after if since is None else max(after, search.last_recorded(tx, since, before=True))


def _page(tx: Transaction, wanted: Wanted) -> tuple[bytes, int | None]:
    """The page, and where the next one begins, if there is one."""
    found = search.page(tx, wanted.which, wanted.after, wanted.limit, PAGE_BYTES_MAX)
    body = batch([cloud_event(entry) for entry in found.entries])
    return body, found.position if found.more else None


def _next(wanted: Wanted, position: int) -> bytes:
    given = {k: v for k, v in wanted.which._asdict().items() if v}
    if subjects := given.pop("subjects", ()):
        given["subject"] = subjects[0]
    return next_link(PATH, {"after": position, "limit": wanted.limit, **given})


def next_link(path: str, query: Mapping[str, object]) -> bytes:
    """What `Link` says of the next page."""
    return f'<{path}?{urlencode(query)}>; rel="next"'.encode()


def wanted_of(query: bytes) -> Wanted:
    """What `?after=&limit=&subject=&type=&actor=&since=&until=` asks for. Refuses bad values."""
    given = parameters(query, PARAMETERS)
    return Wanted(filter_of(given), *page_of(given))


def page_of(given: Mapping[str, str]) -> tuple[int, int]:
    """The position that a page begins after, and its length."""
    return (
        number(given.get("after", "0"), "after", 0, POSITION_MAX),
        number(given.get("limit", str(LIMIT)), "limit", 1, LIMIT_MAX),
    )


def filter_of(given: Mapping[str, str], subjects: Sequence[str] = ()) -> Filter:
    """The filter that parameters of a query, or options of a command, say."""
    subjects = [given["subject"]] if "subject" in given else subjects
    texts = [("subject", text) for text in subjects]
    texts += [("actor", given["actor"])] if "actor" in given else []
    for name, text in texts:
        must_be_text(text, name)
    if len(subjects) > SUBJECTS_MAX:
        raise invalid(f"One stream is of {SUBJECTS_MAX} subjects at most.", "subject")
    topic = given.get("type")
    if topic is not None and topic not in TYPES:
        raise no_type(topic, "type")
    times = {name: moment(given[name], name) for name in ("since", "until") if name in given}
    named = tuple(dict.fromkeys(map(subject_of, subjects)))
    return Filter(named, topic, given.get("actor"), **times)


def must_be_text(text: str, name: str) -> None:
    """Refuse what can be no subject, and nobody's name."""
    if not re.fullmatch(TEXT, text):
        raise invalid(f"{name} must be 1 to {TEXT_CHARACTERS_MAX} ASCII characters.", name)


def no_type(topic: str, name: str) -> Refusal:
    """There is no such type of event; the refusal says which there are instead."""
    return invalid(f"There is no type of event like that: {_like(topic)}.", name)


def subject_of(text: str) -> str:
    """A subject as the log names it, however the address of a host is written."""
    kind, _, name = text.partition("/")
    if kind == "host":
        with suppress(Refusal):  # what is no address is in no log
            return f"host/{host_address(name)}"
    return text


def _like(text: str) -> str:
    """The types that begin as the wrong one does, or all kinds of subjects."""
    kind = text.partition(".")[0]
    near = [topic for topic in TYPES if topic.partition(".")[0] == kind]
    if near:
        return f"{kind} has {', '.join(near)}"
    return f"they begin with {', '.join(sorted({topic.partition('.')[0] for topic in TYPES}))}"
