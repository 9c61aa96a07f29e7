"""A queue of keys that are due: so many are worked on at once, and no key twice at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import asynccontextmanager
from enum import IntEnum
from functools import partial
from typing import NamedTuple

KEPT_FREE = 8
"""Of so many slots each priority leaves one to every higher priority."""
SLOW_S = 0.5
"""A key that takes longer waits for a silent host, and may leave its slot to others."""


class Priority(IntEnum):
    """Which keys go first; among equals those that were due first."""

    REQUESTED = 0
    """A person, or an event, asks for the work."""
    CONTINUED = 1
    """The work goes on after a pause."""
    RETRY = 2
    """The work has failed before."""


class Requeue(NamedTuple):
    """The key is due again after so many seconds, unless it is enqueued before."""

    seconds: float
    priority: Priority


Do = Callable[[str], Awaitable[Requeue | None]]


class WorkQueue:
    """Calls `do(key)` for keys that are due, `parallel` at once, beside `slow_max` slow ones.

    A key that is enqueued while `do` works on it is due again right afterwards, whatever `do`
    returns. An exception of `do` is a defect: `running()` raises it.
    """

    def __init__(self, do: Do, parallel: int, slow_max: int = 0) -> None:
        self._do = do
        self._parallel = parallel
        self._slow_max = slow_max
        self._slow: set[str] = set()  # busy keys that have left their slots
        # Keys that fail slowly never hold up new ones: lower priorities cannot have all slots.
        kept = max(1, parallel // KEPT_FREE)
        self._most = [max(1, parallel - kept * priority) for priority in Priority]
        self._due: list[dict[str, None]] = [
            {} for _ in Priority
        ]  # dicts: in order, and quick to leave
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._busy: dict[str, asyncio.Task[Requeue | None]] = {}
        self._priority_of_busy: dict[str, Priority] = {}
        self._group: asyncio.TaskGroup | None = None
        self._stopped = False

    def __len__(self) -> int:
        """How many keys wait or are being worked on."""
        return len(self._busy.keys() | self._timers.keys() | set().union(*self._due))

    def enqueue(self, key: str) -> None:
        """The key is due as soon as there is a free slot."""
        if key not in self._due[Priority.REQUESTED]:
            self._dequeue(key)
            self._came_due(key, Priority.REQUESTED)

    def enqueue_after(self, seconds: float, key: str, priority: Priority = Priority.RETRY) -> None:
        """The key is due after so many seconds, whatever was due for it before."""
        self._dequeue(key)
        timer = asyncio.get_running_loop().call_later(seconds, self._came_due, key, priority)
        self._timers[key] = timer

    def forget(self, key: str) -> None:
        """The key is not due any more, and work on it is cancelled."""
        self._dequeue(key)
        if task := self._busy.get(key):
            task.cancel()

    def forget_those(self, keys: Container[str]) -> None:
        """`forget` for each of these keys."""
        known = self._busy.keys() | self._timers.keys() | set().union(*self._due)
        for key in known:
            if key in keys:
                self.forget(key)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the context is open, keys are worked on as they come due."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._fill()
            try:
                yield
            finally:
                self._stop()
                for task in self._busy.values():
                    task.cancel()

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing more, and wait for the keys that are being worked on."""
        self._stop()
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=timeout_s)

    def _dequeue(self, key: str) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
        for priority in self._due:
            priority.pop(key, None)

    def _stop(self) -> None:
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _came_due(self, key: str, priority: Priority) -> None:
        self._timers.pop(key, None)
        self._due[priority][key] = None
        self._fill()

    def _fill(self) -> None:
        """Begin as many keys as there are slots for."""
        while self._group is not None and not self._stopped and (found := self._next()):
            key, priority = found
            del self._due[priority][key]
            self._priority_of_busy[key] = priority
            task = self._group.create_task(self._run(key), name=f"wakeup {key}")
            self._busy[key] = task
            # Not in the task: one that is forgotten at once is cancelled before it begins.
            task.add_done_callback(partial(self._ended, key))
            if self._slow_max:
                asyncio.get_running_loop().call_later(SLOW_S, self._leave_slot, key, task)

    def _leave_slot(self, key: str, task: asyncio.Task[Requeue | None]) -> None:
        if self._busy.get(key) is not task:
            return  # the work has ended
        if len(self._slow) < self._slow_max:
            self._slow.add(key)
            self._fill()
        else:
            asyncio.get_running_loop().call_later(SLOW_S, self._leave_slot, key, task)

    def _next(self) -> tuple[str, Priority] | None:
        """The first key that may begin now."""
        for priority in Priority:
            quick = self._priority_of_busy.keys() - self._slow
            taken = sum(1 for key in quick if self._priority_of_busy[key] >= priority)
            if len(quick) >= self._parallel or taken >= self._most[priority]:
                return None
            for key in self._due[priority]:
                if key not in self._busy:  # at most as many as are busy are passed over
                    return key, priority
        return None

    async def _run(self, key: str) -> Requeue | None:
        try:
            return await self._do(key)
        except asyncio.CancelledError:
            if self._stopped:
                raise
            return None  # forgotten
        except BaseException:
            self._stopped = True  # a defect: the group takes no more tasks
            raise

    def _ended(self, key: str, task: "asyncio.Task[Requeue | None]") -> None:
        del self._busy[key], self._priority_of_busy[key]
        self._slow.discard(key)
        again = None if task.cancelled() or task.exception() else task.result()
        if again is not None and not self._is_enqueued(key) and not self._stopped:
            self.enqueue_after(again.seconds, key, again.priority)
        self._fill()

    def _is_enqueued(self, key: str) -> bool:
        return key in self._timers or any(key in priority for priority in self._due)
