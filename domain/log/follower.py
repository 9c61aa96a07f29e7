"""Following the log: every entry after a position, in order, once, as it is appended.

Where an entry cannot be read (a newer version wrote it, say), whoever follows stops before it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from domain.event import Recorded
from domain.log import recorder
from domain.log.engine import PersistenceError, Stopped
from domain.log.mapper import whole_event
from domain.log.recorder import Entry
from domain.log.transaction import Transaction

PULL_EVERY_S = 1.0
"""How often to look for what other processes appended; our own entries come at once."""
PULL_EVENTS = 1000
PUSHED_EVENTS_MAX = 10_000
"""What waits in memory at most; beyond it the log itself is the queue."""

Pull = Callable[[int], Awaitable[Sequence[Recorded]]]
"""Read the entries after a position, `PULL_EVENTS` at most. Raises as `after` does."""


def after(tx: Transaction, position: int) -> list[Recorded]:
    """The next entries after a position, decoded, up to the first that cannot be.

    Raises `Unreadable` where that is the very next.
    """
    found: list[Recorded] = []
    for entry in recorder.entries(tx, position, PULL_EVENTS):
        try:
            found.append(read(entry))
        except Unreadable:
            if not found:
                raise
            break
    return found


def read(entry: Entry) -> Recorded:
    """One entry, decoded. Raises `Unreadable`."""
    try:
        return Recorded(entry.position, entry.recorded_at, whole_event(entry.stored))
    except Exception as defect:
        raise Unreadable(entry, defect) from defect


class Unreadable(Stopped):
    """There is an entry of the log that this version cannot read; nobody may skip it unseen."""

    def __init__(self, entry: Entry, defect: Exception) -> None:
        stored = entry.stored
        super().__init__(
            f"This version cannot read position {entry.position} of the log, {stored.topic} of"
            f" {stored.originator_id} ({type(defect).__name__})."
        )
        self.entry = entry


class Follower:
    """One reader of the log. What this process appends is pushed to it, the rest it pulls."""

    def __init__(self, position: int, pull: Pull) -> None:
        self.position = position
        self.stopped: Unreadable | None = None
        """Why nothing more is read."""
        self._pull = pull
        self._pushed: list[tuple[int, Sequence[Recorded]]] = []
        self._waiting = 0
        self._may_be_behind = True
        """Until a pull finds nothing: what others appended is not told to us."""
        self._begun_anew = 0
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def push(self, previous: int, recorded: Sequence[Recorded]) -> None:
        """Entries that were appended right after `previous`. On the event loop's thread."""
        if self.stopped is not None:
            return
        if self._waiting < PUSHED_EVENTS_MAX:
            self._pushed.append((previous, recorded))
            self._waiting += len(recorded)
        else:
            self._may_be_behind = True
        self._news.set()

    async def batches(self) -> AsyncIterator[Sequence[Recorded]]:
        """Entries in order, never an empty batch. Ends only before what cannot be read."""
        self.stopped = None
        self._look_now_and_then()
        try:
            while self.stopped is None:
                batch = self._next_pushed()
                if not batch and (self._pushed or self._may_be_behind):
                    batch = await self._pulled()
                if batch:
                    self.position = batch[-1].position
                    yield batch
                elif not self._pushed and self.stopped is None:
                    self._news.clear()
                    await self._news.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def begin_anew(self, position: int) -> None:
        """Go on from another position: the log went back. On the event loop's thread."""
        self.position = position
        self._begun_anew += 1
        self._pushed.clear()
        self._waiting = 0
        self._may_be_behind = True
        self._news.set()

    def pass_over(self, unreadable: Unreadable) -> None:
        """Go on behind an entry with the next `batches()`, for whoever did all there is to do."""
        self.position = unreadable.entry.position

    def _look_now_and_then(self) -> None:
        # Not a time limit on each wait: several followers wait anew after each commit.
        self._may_be_behind = True
        self._news.set()
        self._timer = asyncio.get_running_loop().call_later(PULL_EVERY_S, self._look_now_and_then)

    async def _pulled(self) -> Sequence[Recorded]:
        begun_anew = self._begun_anew
        try:
            batch = await self._pull(self.position)
        except Unreadable as stopped:
            self.stopped = stopped
            self._pushed.clear()
            self._waiting = 0
            return ()
        except PersistenceError:  # the database is away, or refuses: until somebody mends that
            await asyncio.sleep(PULL_EVERY_S)
            return ()
        if begun_anew != self._begun_anew:
            return ()  # of a log that is no more
        self._may_be_behind = bool(batch)
        return batch

    def _next_pushed(self) -> Sequence[Recorded]:
        """The next batch in memory, if it goes on exactly where we are."""
        while self._pushed:
            previous, recorded = self._pushed[0]
            if previous > self.position:
                return ()  # somebody else appended between: pull
            del self._pushed[0]
            self._waiting -= len(recorded)
            if previous == self.position:
                return recorded
        return ()
