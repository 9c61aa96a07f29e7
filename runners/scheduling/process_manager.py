"""The loop of every process manager: read what is unfinished, follow the log, tick key by key.

The log is the memory. What is unfinished is read from it whenever keys become this process's own,
and events are followed from then on. A tick loads, does one step and records what came of it, so
that one which a crash cut short is repeated.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, TypeVar

from domain.event import Recorded
from domain.log.engine import PersistenceError
from domain.log.follower import Follower
from domain.refusal import Refusal
from runners.leases.ownership import SINGLE_PROCESS, NoLongerOurs, Ownership, ShardSet
from runners.scheduling.work_queue import Priority, Requeue, WorkQueue

LOG_RETRY_S = 1.0
"""Pause before a read or a record that the log could not take is repeated."""

T = TypeVar("T")


class LocalFailure(Exception):
    """This machine has run out of something that the tick needs: it says nothing of the host."""


UNRECORDED = (NoLongerOurs, LocalFailure, Refusal, PersistenceError)
"""What ends a tick without a record of it: the tick is repeated on what the log says then."""


class Due(NamedTuple):
    """A key with unfinished work: begun as soon as there is a slot, or after so many seconds."""

    key: str
    after_s: float | None = None
    priority: Priority = Priority.RETRY


class ProcessManager(ABC):
    """Ticks for `parallel` keys at once; see `WorkQueue` for `slow_max`."""

    def __init__(
        self, parallel: int, *, slow_max: int = 0, ownership: Ownership = SINGLE_PROCESS
    ) -> None:
        self._ownership = ownership
        self._queue = WorkQueue(self._tick_or_repeat, parallel, slow_max)

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        async with self.running():
            async for batch in follower.batches():
                for recorded in batch:
                    self.notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin no tick, and wait for those under way, `timeout_s` at most."""
        await self._queue.drain(timeout_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the context is open, keys that this process owns are worked on."""
        async with self._queue.running(), self._ownership.subscribe(self._take_over, self._drop):
            yield

    @abstractmethod
    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """The keys of these shards that the log has work for. Repeated while the log is away."""

    @abstractmethod
    def notice(self, recorded: Recorded) -> None:
        """Enqueue, or forget, the key that an event is about."""

    @abstractmethod
    async def tick(self, key: str) -> Requeue | None:
        """Load, do one step, record; says when to tick again, None where nothing is left to do."""

    def repeat(self, key: str, unrecorded: Exception) -> Requeue:
        """When to repeat a tick that raised one of `UNRECORDED`."""
        return Requeue(LOG_RETRY_S, Priority.CONTINUED)

    def keys_of(self, shards: ShardSet) -> Container[str]:
        """The keys of these shards."""
        return shards

    def drop(self, keys: Container[str]) -> None:
        """Stop work on keys that are another process's by now, and forget what is known of them."""
        self._queue.forget_those(keys)

    def owns(self, key: str, shards: ShardSet) -> bool:
        """Whether a key is of these shards, and they are still this process's."""
        return key in shards and self._ownership.holds(key)

    async def _take_over(self, shards: ShardSet) -> None:
        for key, after_s, priority in await retry_until_available(partial(self.unfinished, shards)):
            if after_s is None:
                self._queue.enqueue(key)
            else:
                self._queue.enqueue_after(after_s, key, priority)

    def _drop(self, shards: ShardSet) -> None:
        self.drop(self.keys_of(shards))

    async def _tick_or_repeat(self, key: str) -> Requeue | None:
        try:
            return await self.tick(key)
        except UNRECORDED as unrecorded:
            return self.repeat(key, unrecorded)


async def retry_until_available(read: Callable[[], Awaitable[T]]) -> T:
    """The result of a read, which is repeated while the database is away."""
    while True:
        try:
            return await read()
        except PersistenceError:
            await asyncio.sleep(LOG_RETRY_S)
