"""Pages that change by themselves: a fragment is rendered once for all who look at it.

A page that nobody looks at costs nothing. A fragment has nothing that is somebody's own: what may
be pressed stands beside it, and is asked for anew when the state of its subject changes.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import NamedTuple

from markupsafe import Markup

from domain.log.engine import PersistenceError
from domain.log.reading.search import Filter
from domain.refusal import Refusal, unavailable
from web.authentication.authentication import AUTHORIZATION_KEY
from web.authentication.sessions import SESSION_KEY
from web.console.frame.api import KEPT
from web.events.live_answer import LiveAnswer
from web.events.live_window import EventWindow, LeftBehind
from web.http.requests import NOBODY, Request

PAUSE_S = 0.25
"""A view is rendered no more than four times a second."""
PAUSE_FACTOR = 10
"""Nor more of the time than one in so many."""
PAUSE_EACH_S = 0.005
"""Nor so often that sending it to all who look takes much of the time: 200 see it once a second."""
LOOK_BYTES = 1
"""Of the events since the last look one is enough to know that there is news."""
RETRY_MS = (500, 3000)
CREDENTIALS = frozenset({b"authorization", b"cookie", b"origin"})


class Fragment(NamedTuple):
    """What everybody who looks at a view sees, and the state that its forms go by."""

    html: str
    state: str = ""


Render = Callable[[Request], Awaitable[Fragment]]


class View:
    """A fragment as of now, for as long as somebody looks at it."""

    def __init__(
        self, window: EventWindow, which: Filter, render: Callable[[], Awaitable[Fragment]]
    ) -> None:
        self._window = window
        self._which = which
        self._render = render
        self._shown = Fragment("")
        self._waiting: set[asyncio.Future[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self.watchers = 0
        self.number = self.beats = 0
        """How often it has changed, and how often it was looked whether it had."""
        self.frame = b""
        self.is_over = False

    @property
    def state(self) -> str:
        """The state of what it shows."""
        return self._shown.state

    def begin(self) -> None:
        """Somebody looks at it from now on."""
        self.watchers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._follow())

    def end(self) -> None:
        """Somebody does not any more."""
        self.watchers -= 1
        if not self.watchers and self._task is not None:
            self._task.cancel()
            self._task, self.is_over = None, True

    def news(self) -> asyncio.Future[None]:
        """Done when it was looked at anew."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        return waiting

    async def _follow(self) -> None:
        window = self._window
        window.listeners += 1
        position = window.head
        try:
            while not window.is_over:
                begun, beats = perf_counter(), window.beats
                await self._look()
                took = PAUSE_FACTOR * (perf_counter() - begun)
                await asyncio.sleep(max(PAUSE_S, took, PAUSE_EACH_S * self.watchers))
                position = await self._until_news(position, beats)
        finally:
            window.listeners -= 1
            self.is_over = True
            self._wake()

    async def _look(self) -> None:
        try:
            found = await self._render()
        except Refusal as refusal:
            if refusal.kind != "not_found":
                return  # a part of the service is away: it comes back
            # What it shows is gone. Its forms stay as they were, and are refused.
            gone = Markup('<p class="problem" role="alert">{}</p>').format(refusal.sentence)
            found = Fragment(gone, self.state)
        except PersistenceError:
            return  # the database is away: it comes back
        self.beats += 1
        if found != self._shown:
            self._shown = found
            self.frame = _frame("view", found.html)
            self.number += 1
        self._wake()

    async def _until_news(self, position: int, beats: int) -> int:
        """Wait for an event of the subject, or a heartbeat; the position up to where it looked."""
        window = self._window
        while not window.is_over:
            if position > window.head:  # the log went back
                return window.head
            try:
                said, position = window.after(position, self._which, LOOK_BYTES)
            except LeftBehind:
                return window.head
            if said or beats != window.beats:
                return window.head
            await window.news()
        return position

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)


class ViewStream(LiveAnswer):
    """The fragment whenever it changes; `state` where that is another than the page knows."""

    def __init__(self, view: View, state: str, is_admitted: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(is_admitted)
        self._view = view
        self._state = state

    def begin(self) -> None:
        """The view is rendered from now on."""
        self._view.begin()

    def end(self) -> None:
        """It need not be for this one any more."""
        self._view.end()

    async def all(self) -> AsyncIterator[bytes]:
        """Always the newest: whoever is slow misses what was between."""
        view, number, beats = self._view, 0, 0
        yield b"retry: %d\n\n" % random.randint(*RETRY_MS)  # noqa: S311 - no secret
        while not (self._gone or view.is_over):
            if view.number != number:
                number, beats = view.number, view.beats
                yield view.frame
                if view.state != self._state:
                    self._state = view.state
                    yield _frame("state", view.state)
            elif view.beats != beats:
                beats = view.beats
                yield b":\n\n"
            else:
                self._waiting = view.news()
                await self._waiting


class Live:
    """All views that somebody looks at."""

    def __init__(self, window: EventWindow, listeners_max: int) -> None:
        self._window = window
        self._listeners_max = listeners_max
        self._views: dict[tuple[str, ...], View] = {}

    def stream(
        self, request: Request, which: Filter, render: Render, query: str = ""
    ) -> ViewStream:
        """The stream of the view that `render` makes of this request, of which `query` is all that
        it is asked; anew for each event of `which`. Refuses one too many.
        """
        views = {key: view for key, view in self._views.items() if not view.is_over}
        if sum(view.watchers for view in views.values()) >= self._listeners_max:
            raise unavailable("Too many pages are open already: load it again when you need it.")
        scope = request.scope
        # Commands in a page name the service as its reader does.
        key = (scope["path"], query, scope["scheme"], request.headers.get("host", ""))
        if key not in views:
            views[key] = View(self._window, which, partial(render, _anybodys(request, query)))
        self._views = views
        state = request.query_params.get("state", "")
        return ViewStream(views[key], state, request.is_admitted)


def _anybodys(request: Request, query: str) -> Request:
    """The request without whoever sent it, and with nothing in its query but this."""
    scope = {
        key: value
        for key, value in request.scope.items()
        if key not in (AUTHORIZATION_KEY, SESSION_KEY)
    }
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name in KEPT and name not in CREDENTIALS
    ]
    return Request(scope | {"user": NOBODY, "headers": headers, "query_string": query.encode()})


def _frame(event: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() if line.strip())
    return f"event: {event}\n{lines}\n".encode()
