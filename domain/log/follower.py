"""Following the log: every entry after a position, in order, once, as it is appended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from eventsourcing.persistence import OperationalError

from domain.event import Recorded
from domain.log import recorder
from domain.log.mapper import to_event
from domain.log.transaction import Transaction

PULL_EVERY_S = 1.0
"""How often to look for what other processes appended; our own entries come at once."""
PULL_EVENTS = 1000
PUSHED_EVENTS_MAX = 10_000
"""What waits in memory at most; beyond it the log itself is the queue."""

Pull = Callable[[int], Awaitable[Sequence[Recorded]]]
"""Read the entries after a position, `PULL_EVENTS` at most."""


def after(tx: Transaction, position: int) -> list[Recorded]:
    """The next entries after a position, decoded."""
    return [
        Recorded(entry.position, entry.recorded_at, to_event(entry.stored))
        for entry in recorder.entries(tx, position, PULL_EVENTS)
    ]


class Follower:
    """One reader of the log. What this process appends is pushed to it, the rest it pulls."""

    def __init__(self, position: int, pull: Pull) -> None:
        self.position = position
        self._pull = pull
        self._pushed: list[tuple[int, Sequence[Recorded]]] = []
        self._waiting = 0
        self._may_be_behind = True
        """Until a pull finds nothing: what others appended is not told to us."""
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def push(self, previous: int, recorded: Sequence[Recorded]) -> None:
        """Entries that were appended right after `previous`. On the event loop's thread."""
        if self._waiting < PUSHED_EVENTS_MAX:
            self._pushed.append((previous, recorded))
            self._waiting += len(recorded)
        else:
            self._may_be_behind = True
        self._news.set()

    async def batches(self) -> AsyncIterator[Sequence[Recorded]]:
        """Entries in order, never an empty batch. Ends never."""
        self._look_now_and_then()
        try:
            while True:
                batch = self._next_pushed()
                if not batch and (self._pushed or self._may_be_behind):
                    batch = await self._pulled()
                if batch:
                    self.position = batch[-1].position
                    yield batch
                elif not self._pushed:
                    self._news.clear()
                    await self._news.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _look_now_and_then(self) -> None:
        # Not a time limit on each wait: several followers wait anew after each commit.
        self._may_be_behind = True
        self._news.set()
        self._timer = asyncio.get_running_loop().call_later(PULL_EVERY_S, self._look_now_and_then)

    async def _pulled(self) -> Sequence[Recorded]:
        try:
            batch = await self._pull(self.position)
        except OperationalError:  # the database is away: it comes back, or somebody restarts us
            await asyncio.sleep(PULL_EVERY_S)
            return ()
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
