"""One event stream: the events that the client missed, then each new one as it is appended."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

from domain.log.reading import search
from domain.log.reading.search import Filter
from domain.log.transaction import Transaction
from projections.reads import Reads
from web.events.cloud_events import cloud_event
from web.events.live_answer import EVENT_STREAM, PIECE_BYTES, LiveAnswer
from web.events.live_window import EventWindow, LeftBehind, frame

__all__ = ["EVENT_STREAM", "EventStream"]

PAGE_EVENTS = 500
PAGE_BYTES = 256 * 1024
LIFE_S = 3600.0
"""After which a client has to come back, and to say who it is."""
RETRY_MS = (500, 3000)
"""How soon it shall come back: not all at the same moment."""
TOO_SLOW = b": too slow, come back with Last-Event-ID\n\n"
WENT_BACK = b": the log went back, come back and go on from this id\n"


class EventStream(LiveAnswer):
    """An answer that goes on until the client leaves, is too slow, has to come back, or may not."""

    def __init__(
        self,
        window: EventWindow,
        reads: Reads,
        position: int,
        which: Filter,
        is_admitted: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(is_admitted)
        self._window = window
        self._reads = reads
        self._position = position
        self._begun_anew = window.begun_anew
        self._which = which

    def begin(self) -> None:
        """The window keeps events from now on."""
        self._window.listeners += 1

    def end(self) -> None:
        """It need not keep them for this one any more."""
        self._window.listeners -= 1

    async def all(self) -> AsyncIterator[bytes]:
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


def _page(tx: Transaction, position: int, which: Filter) -> tuple[bytes, int]:
    found = search.page(tx, which, position, PAGE_EVENTS, PAGE_BYTES)
    frames = [frame(entry.position, cloud_event(entry)) for entry in found.entries]
    if not found.entries or found.entries[-1].position < found.position:
        frames.append(b"id: %d\n\n" % found.position)
    return b"".join(frames), found.position
