"""Several processes in one virtual time: each has an event loop of its own, and may stand still.

A process that is frozen runs nothing, and when it goes on, everything that came due meanwhile is
done one after the other, as it is after SIGCONT.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import timedelta
from math import inf
from typing import Any

from domain.event import TIME_FORMAT
from tests.simulation.clock import BEGIN


class Clock:
    """The time of everybody."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.seconds

    def now(self) -> str:
        """The time as events have it."""
        return (BEGIN + timedelta(seconds=self.seconds)).strftime(TIME_FORMAT)


class ProcessLoop(asyncio.SelectorEventLoop):
    """Runs until it would have to wait, and says until when."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.next_at = clock.seconds
        self.frozen_until = 0.0
        self.killed = False
        super().__init__(_Stops(self))

    def time(self) -> float:
        """Everybody's."""
        return self.clock.seconds

    def tell(self, callback: Callable[..., object], *args: object) -> None:
        """Have it called here, from whatever loop; nothing is called in one that was killed."""
        if not self.killed:
            self.call_soon(callback, *args)
            self.next_at = min(self.next_at, self.clock.seconds)

    @property
    def goes_on_at(self) -> float:
        """When it next has something to do; never, once it was killed."""
        return inf if self.killed else max(self.next_at, self.frozen_until)


class _Stops(selectors.SelectSelector):
    """Instead of waiting, lets others run."""

    def __init__(self, loop: ProcessLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ever ready."""
        if timeout is None or timeout > 0:
            self._loop.next_at = inf if timeout is None else self._loop.time() + timeout
            self._loop.stop()
        return []


class Conductor:
    """Lets everybody run in the order of time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.loops: list[ProcessLoop] = []

    def begin(self, running: Coroutine[Any, Any, None]) -> ProcessLoop:
        """A new process."""
        loop = ProcessLoop(self.clock)
        loop.set_exception_handler(_raise)
        loop.create_task(running)
        self.loops.append(loop)
        return loop

    def kill(self, loop: ProcessLoop) -> None:
        """It runs nothing any more, not even what it has for its end."""
        loop.killed = True

    def play(self, until: Callable[[], bool], limit_s: float) -> None:
        """Until a condition is true, which is looked at after each turn of anybody."""
        while not until():
            loop = min(self.loops, key=lambda each: each.goes_on_at)
            assert loop.goes_on_at < limit_s, "it does not come to an end"
            self.clock.seconds = max(self.clock.seconds, loop.goes_on_at)
            loop.run_forever()

    def close(self) -> None:
        """Take all loops apart."""
        for loop in self.loops:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            while not all(task.done() for task in tasks):
                loop.run_forever()
                self.clock.seconds = max(self.clock.seconds, loop.next_at)
            loop.close()


def _raise(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    raise context.get("exception") or AssertionError(context["message"])
