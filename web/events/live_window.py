"""The newest window of the log, encoded once, that all event streams read along.

A listener has no queue of its own, only its place in the window: so it holds up nobody and costs
nothing while it waits. One that the window has left behind is told so and must go; it can resume,
since the log itself has everything.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from domain.event import Recorded
from domain.log.follower import Follower
from domain.log.reading.search import Filter
from domain.log.recorder import Entry
from web.events.cloud_events import actor_of, cloud_event, encoded

RECENT_EVENTS_MAX = 10_000
RECENT_BYTES_MAX = 8 * 1024 * 1024
"""What is kept for listeners that are not quite up to date."""
TURN_EVENTS = 50
"""After so many are encoded others get their turn."""
HEARTBEAT_S = 15.0


class StreamedEvent(NamedTuple):
    """An event as listeners are told of it."""

    position: int
    subject: str
    type: str
    actor: str
    frame: bytes
    """As server-sent events write it."""

    def passes(self, which: Filter) -> bool:
        """Whether a filter lets it through; times are not asked about."""
        return (
            (not which.subjects or self.subject in which.subjects)
            and which.type in (None, self.type)
            and which.actor in (None, self.actor)
        )


def frame(position: int, event: bytes) -> bytes:
    """One event, as server-sent events write it; JSON has no line ends."""
    return b"id: %d\ndata: %b\n\n" % (position, event)


class LeftBehind(Exception):
    """The window has gone on: what comes next is only in the log."""


class EventWindow:
    """All events beyond `begin` up to `head`, without a gap. On the event loop's thread only."""

    def __init__(self, position: int = 0) -> None:
        self.begin = self.head = position
        self.listeners = 0
        self.left_behind = 0
        """How many listeners were too slow, since the start."""
        self.beats = 0
        self.is_over = False
        self.begun_anew = 0
        """How often the log went back."""
        self.common = 0
        """Up to where the log was as before when it last did; 0 where that is not known."""
        self._told: list[StreamedEvent] = []
        self._bytes = 0
        self._waiting: set[asyncio.Future[None]] = set()

    async def run(self, follower: Follower) -> None:
        """Follow the log until cancelled."""
        beating = asyncio.create_task(self._beat())
        try:
            while True:
                async for batch in follower.batches():
                    for start in range(0, len(batch), TURN_EVENTS):
                        self.tell(batch[start : start + TURN_EVENTS])
                        await asyncio.sleep(0)
                if (unreadable := follower.stopped) is not None:
                    self.tell_as_stored(unreadable.entry)
                    follower.pass_over(unreadable)
        finally:
            beating.cancel()

    async def stop(self, timeout_s: float) -> None:
        """End all streams: clients come back to whoever serves next, and resume."""
        self.is_over = True
        self._wake()

    def begin_anew(self, position: int, common: int) -> None:
        """The log went back: forget all events; whoever listens must come back."""
        self._told.clear()
        self._bytes, self.begin, self.head = 0, position, position
        self.common = common
        self.begun_anew += 1
        self._wake()

    def tell(self, batch: Sequence[Recorded]) -> None:
        """Add events that follow the newest; where nobody listens, go on and keep nothing."""
        if not self.listeners:
            self._told.clear()
            self._bytes, self.begin, self.head = 0, batch[-1].position, batch[-1].position
            return
        for recorded in batch:
            event = recorded.event
            said = frame(recorded.position, encoded(recorded))
            self._told.append(
                StreamedEvent(
                    recorded.position, event.originator_id, event.TOPIC, event.actor, said
                )
            )
            self._bytes += len(said)
        self.head = batch[-1].position
        self._drop()
        self._wake()

    def tell_as_stored(self, entry: Entry) -> None:
        """Add an event that this version cannot read; it has nothing to do but to tell of it."""
        said = frame(entry.position, cloud_event(entry))
        stored = entry.stored
        told = StreamedEvent(
            entry.position, str(stored.originator_id), stored.topic, actor_of(stored), said
        )
        self._told.append(told)
        self._bytes += len(said)
        self.head = entry.position
        self._drop()
        self._wake()

    def after(self, position: int, which: Filter, bytes_max: int) -> tuple[bytes, int]:
        """What a listener at a position is told next, and where it is then.

        About `bytes_max`, but one event at least. Raises `LeftBehind`.
        """
        if position < self.begin:
            raise LeftBehind
        frames: list[bytes] = []
        size = 0
        for told in self._told[self._place(position) :]:
            if told.passes(which):
                if frames and size + len(told.frame) > bytes_max:
                    break
                frames.append(told.frame)
                size += len(told.frame)
            position = told.position
        return (frames[0] if len(frames) == 1 else b"".join(frames)), position

    def beat(self) -> None:
        """Have every listener say that it is there."""
        self.beats += 1
        self._wake()

    def news(self) -> asyncio.Future[None]:
        """Done when there is more, at a heartbeat, and at the end."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        return waiting

    def _place(self, position: int) -> int:
        """Where in the window the events beyond a position begin; nearly all are at its end."""
        told = self._told
        if not told or told[-1].position <= position:
            return len(told)
        if len(told) > 1 and told[-2].position == position:
            return len(told) - 1
        return bisect_right(told, position, key=lambda one: one.position)

    def _drop(self) -> None:
        """The oldest, as much as is too much."""
        count = 0
        while len(self._told) - count > RECENT_EVENTS_MAX or self._bytes > RECENT_BYTES_MAX:
            self.begin = self._told[count].position
            self._bytes -= len(self._told[count].frame)
            count += 1
        del self._told[:count]

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self.beat()
