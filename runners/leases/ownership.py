"""Whose work is whose: a process claims what it works on, and is told of what it gains and loses.

Everything that is worked on has a key: a host its address, an operation its id, a source
`source/NAME`. Keys fall into shards, and each shard is claimed by one process at a time
(`runners/leases/leases.py`); where there is only one process, all of it is its own
(`SINGLE_PROCESS`).
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
"""More than there will be processes; few enough that all of them are looked at each second."""

T = TypeVar("T")


@dataclass(frozen=True)
class ShardSet:
    """A part of all keys: those of some shards."""

    shards: frozenset[int]

    def __contains__(self, key: object) -> bool:
        return shard_of(str(key)) in self.shards


def shard_of(key: str) -> int:
    """The same in every process, of every version."""
    return zlib.crc32(key.encode()) % SHARDS


EVERYTHING = ShardSet(frozenset(range(SHARDS)))

Gained = Callable[[ShardSet], Awaitable[None]]
"""Load what is unfinished of these keys from the log, and go on with it."""
Lost = Callable[[ShardSet], None]
"""Forget everything about these keys, and break off what is under way: others go on with it."""


@dataclass
class Tally:
    """What happened since the start."""

    taken_over: int = 0
    """Shards whose holder had died, or had not renewed its lease."""
    lost: int = 0
    """Shards whose lease ran out while they were ours."""


@dataclass(eq=False)
class Subscriber:
    """A process manager, and what it is still to be told that it gained."""

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
        """How many shards are ours."""
        ...

    def holds(self, key: str) -> bool:
        """Whether it is ours now: ask right before something is sent."""
        ...

    def left_s(self, key: str) -> float:
        """For how long it will be ours for certain, in seconds; 0 where it is not."""
        ...

    def fenced(self, key: str, command: Callable[[Unit], T]) -> Callable[[Unit], T]:
        """The command, refused where the key is not ours in the transaction that decides it."""
        ...

    def subscribe(self, on_gained: Gained, on_lost: Lost) -> AbstractAsyncContextManager[None]:
        """While the context is open, `on_gained` is awaited with what is ours already and with what
        becomes ours, one after the other; `on_lost` is called as soon as something is not."""
        ...

    def begin_anew(self) -> None:
        """The log went back: all that is ours is lost, and gained again with what it says now."""
        ...


class SingleProcess:
    """There is no other process: everything is ours, for ever, and at no cost."""

    held = SHARDS

    def __init__(self) -> None:
        self.tally = Tally()
        self._subscribers: list[Subscriber] = []

    def holds(self, key: str) -> bool:
        """It is."""
        return True

    def left_s(self, key: str) -> float:
        """For ever."""
        return math.inf

    def fenced(self, key: str, command: Callable[[Unit], T]) -> Callable[[Unit], T]:
        """The command as it is."""
        return command

    @asynccontextmanager
    async def subscribe(self, on_gained: Gained, on_lost: Lost) -> AsyncIterator[None]:
        """Everything is gained at once."""
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


@dataclass(frozen=True)
class HostsOf:
    """Keys of hosts in operations, of a part of all hosts."""

    shards: ShardSet

    def __contains__(self, key: object) -> bool:
        _, of_a_host, address = str(key).partition(" ")
        return bool(of_a_host) and address in self.shards
