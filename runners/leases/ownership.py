"""Which keys this process may work on, and which it gains and loses.

The key of a host is its address, that of an operation its id, that of a source `source/NAME`. Keys
fall into shards, and one process at a time holds the lease of a shard (`runners/leases/leases.py`);
where there is only one process, it owns all keys (`SINGLE_PROCESS`).
"""

import asyncio
import math
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from domain.log.unit import Unit

SHARDS = 64
"""More than there will be processes; few enough that all leases are read each second."""

T = TypeVar("T")


class NoLongerOurs(Exception):
    """The key is another process's by now, or the log has changed what was being worked on."""


@dataclass(frozen=True)
class ShardSet:
    """The keys of some shards."""

    shards: frozenset[int]

    def __contains__(self, key: object) -> bool:
        return shard_of(str(key)) in self.shards


def shard_of(key: str) -> int:
    """The shard of a key: the same in every process, of every version."""
    return zlib.crc32(key.encode()) % SHARDS


EVERYTHING = ShardSet(frozenset(range(SHARDS)))

Gained = Callable[[ShardSet], Awaitable[None]]
"""Loads what is unfinished of these keys from the log, and goes on with it."""
Lost = Callable[[ShardSet], None]
"""Forgets these keys, and cancels the work on them: another process goes on with it."""


@dataclass
class Tally:
    """Counts of shards since the start."""

    taken_over: int = 0
    """Gained from a process that had died, or had not renewed its lease."""
    lost: int = 0
    """Lost because this process did not renew its own lease in time."""


@dataclass(eq=False)
class Subscriber:
    """A process manager, and the shards that it gained and has not heard of yet."""

    on_gained: Gained
    on_lost: Lost
    gains: "asyncio.Queue[ShardSet]" = field(default_factory=asyncio.Queue)

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """While the context is open, it is told of what it gains, one after the other."""
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell(), name="gains")
            try:
                yield
            finally:
                telling.cancel()

    async def _tell(self) -> None:
        while True:
            await self.on_gained(await self.gains.get())


class Ownership(Protocol):
    """What this process may work on."""

    tally: Tally

    @property
    def held(self) -> int:
        """How many shards this process holds."""
        ...

    def holds(self, key: str) -> bool:
        """Whether this process may work on the key now: ask right before something is sent."""
        ...

    def left_s(self, key: str) -> float:
        """For how many seconds this process holds the key for certain; 0 where it does not."""
        ...

    def fenced(self, key: str, command: Callable[[Unit], T]) -> Callable[[Unit], T]:
        """The command, refused where this process does not hold the key when it is decided."""
        ...

    def subscribe(self, on_gained: Gained, on_lost: Lost) -> AbstractAsyncContextManager[None]:
        """While the context is open, `on_gained` is awaited with the shards held already and with
        each further gain, one after the other; `on_lost` is called as soon as shards are lost."""
        ...

    def begin_anew(self) -> None:
        """The log went back: all that is ours is lost, and gained again with what it says now."""
        ...


class SingleProcess:
    """There is no other process: this one holds every key from the start, without a lease."""

    held = SHARDS

    def __init__(self) -> None:
        self.tally = Tally()
        self._subscribers: list[Subscriber] = []

    def holds(self, key: str) -> bool:
        return True

    def left_s(self, key: str) -> float:
        return math.inf

    def fenced(self, key: str, command: Callable[[Unit], T]) -> Callable[[Unit], T]:
        return command

    @asynccontextmanager
    async def subscribe(self, on_gained: Gained, on_lost: Lost) -> AsyncIterator[None]:
        await on_gained(EVERYTHING)
        subscriber = Subscriber(on_gained, on_lost)
        self._subscribers.append(subscriber)
        try:
            async with subscriber.told():
                yield
        finally:
            self._subscribers.remove(subscriber)

    def begin_anew(self) -> None:
        """The log went back."""
        for subscriber in self._subscribers:
            subscriber.on_lost(EVERYTHING)
            subscriber.gains.put_nowait(EVERYTHING)


SINGLE_PROCESS = SingleProcess()


def permitted(ownership: Ownership, key: str) -> None:
    """Raise `NoLongerOurs` where this process does not hold the key."""
    if not ownership.holds(key):
        raise NoLongerOurs


@dataclass(frozen=True)
class HostsOf:
    """The keys `OPERATION ADDRESS` and `CONTAINER_MANAGER ADDRESS` of the hosts of some shards."""

    shards: ShardSet

    def __contains__(self, key: object) -> bool:
        _, has_address, address = str(key).partition(" ")
        return bool(has_address) and address in self.shards
