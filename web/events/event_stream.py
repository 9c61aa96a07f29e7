"""One event stream: the events that the client missed, then each new one as it is appended."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from domain.log.engine import PersistenceError
from domain.log.reading import search
from domain.log.reading.search import Filter
from domain.log.transaction import Transaction
from projections.reads import Reads
from web.authentication.presence import Presence, presence_of
from web.events.cloud_events import cloud_event
from web.events.live_window import EventWindow, LeftBehind, frame
from web.http.replies import INERT, NO_STORE, NOSNIFF, Header
from web.http.requests import RENEW_EVERY_S

PAGE_EVENTS = 500
PAGE_BYTES = 256 * 1024
PIECE_BYTES = 64 * 1024
"""What is handed to a connection at once: it is asked for more when most of that is sent."""
LIFE_S = 3600.0
"""After which a client has to come back, and to say who it is."""
RETRY_MS = (500, 3000)
"""How soon it shall come back: not all at the same moment."""
LAST_PIECE_S = 0.3
"""How long a client may take to read what is under way to it when its stream has to end."""
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}
TOO_SLOW = b": too slow, come back with Last-Event-ID\n\n"
WENT_BACK = b": the log went back, come back and go on from this id\n"

EVENT_STREAM = "text/event-stream"
HEADERS: tuple[Header, ...] = (
    (b"content-type", EVENT_STREAM.encode()),
    NO_STORE,
    NOSNIFF,
    INERT,
    (b"x-accel-buffering", b"no"),  # nginx would keep it back
)


class EventStream(Response):
    """An answer that goes on until the client leaves, is too slow, has to come back, or may not."""

    def __init__(
        self,
        window: EventWindow,
        reads: Reads,
        position: int,
        which: Filter,
        is_admitted: Callable[[], Awaitable[bool]],
    ) -> None:
        # Not `super().__init__`: there is no body, and no length.
        self.status_code = 200
        self.background = None
        self.raw_headers = [*HEADERS]
        self._window = window
        self._reads = reads
        self._position = position
        self._begun_anew = window.begun_anew
        self._which = which
        self._is_admitted = is_admitted
        self._gone = False
        self._waiting: asyncio.Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the stream ends."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send(END)
            return
        leaving = asyncio.create_task(self._wait_until_gone(receive))
        watching = asyncio.create_task(self._watch_admission(presence_of(scope)))
        self._window.listeners += 1
        try:
            try:
                await self._speak(send)
            except PersistenceError:
                pass  # the database is away: it comes back, and so does the client
            finally:
                self._window.listeners -= 1
                leaving.cancel()
            await send(END)
        finally:
            watching.cancel()

    async def _speak(self, send: Send) -> None:
        async for said in self._all():
            for start in range(0, len(said), PIECE_BYTES):
                if self._gone:
                    return
                piece = said[start : start + PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _all(self) -> AsyncIterator[bytes]:
        """What is said, piece by piece; the position is that of what was said last."""
        window = self._window
        yield b"retry: %d\n\n" % random.randint(*RETRY_MS)  # noqa: S311 - no secret
        end = asyncio.get_running_loop().time() + LIFE_S
        while self._position < window.begin and not self._is_over:
            said, self._position = await self._reads.fresh(_page, self._position, self._which)
            yield said
        known, beats = self._position, window.beats  # what the client knows of the position
        while not self._is_over:
            if self._begun_anew != window.begun_anew:
                yield self._went_back(known)
                return
            before = self._position
            try:
                said, self._position = window.after(before, self._which, PIECE_BYTES)
            except LeftBehind:
                window.left_behind += 1
                yield TOO_SLOW
                return
            if said:
                known = self._position
                yield said
            elif beats != window.beats:
                beats = window.beats
                # An id without data is no event, but from there the client resumes.
                yield b":\n\n" if known == self._position else b"id: %d\n\n" % self._position
                known = self._position
                if asyncio.get_running_loop().time() >= end:
                    return
            elif self._position == before:
                self._waiting = window.news()
                await self._waiting

    def _went_back(self, known: int) -> bytes:
        """What a client is told last: from there it resumes, without what was lost."""
        # Where nobody can tell, its own id is looked for when it comes back: found, or refused.
        return WENT_BACK + b"id: %d\n\n" % min(known, self._window.common or known)

    @property
    def _is_over(self) -> bool:
        return self._gone or self._window.is_over

    async def _wait_until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stop()

    async def _watch_admission(self, presence: Presence) -> None:
        """End it soon after whoever listens has lost their credentials."""
        while True:
            if not await self._is_admitted():
                break
            await asyncio.sleep(RENEW_EVERY_S)
        self._stop()
        await asyncio.sleep(LAST_PIECE_S)
        presence.hang_up()

    def _stop(self) -> None:
        self._gone = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _page(tx: Transaction, position: int, which: Filter) -> tuple[bytes, int]:
    found = search.page(tx, which, position, PAGE_EVENTS, PAGE_BYTES)
    frames = [frame(entry.position, cloud_event(entry)) for entry in found.entries]
    if not found.entries or found.entries[-1].position < found.position:
        frames.append(b"id: %d\n\n" % found.position)
    return b"".join(frames), found.position
