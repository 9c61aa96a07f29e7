"""Things to do, each under a key, at their time, so many at once, and one key never twice."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Do = Callable[[str], Awaitable[None]]


class Wakeups:
    """Calls `do(key)` when a key is due; a later wish for the same key replaces an earlier one.

    A key that is asked for while it is being done is done once more afterwards. An exception of
    `do` ends `running()` loudly: it is a defect.
    """

    def __init__(self, do: Do, parallel: int) -> None:
        self._do = do
        self._slots = asyncio.Semaphore(parallel)
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._order = itertools.count()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._draining = False

    def at_once(self, key: str) -> None:
        """Do it as soon as there is a free slot."""
        self.within(0.0, key)

    def within(self, seconds: float, key: str) -> None:
        """Do it after so many seconds."""
        due = asyncio.get_running_loop().time() + seconds
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._news.set()

    def forget(self, key: str) -> None:
        """Do not do it, unless it is being done already."""
        self._due.pop(key, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the context is open, keys are done as they come due."""
        async with asyncio.TaskGroup() as group:
            dispatcher = group.create_task(self._dispatch(group), name="wakeups")
            try:
                yield
            finally:
                dispatcher.cancel()
                for task in self._busy.values():
                    task.cancel()

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing more, and wait for what is being done."""
        self._draining = True
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=timeout_s)

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while True:
            key = await self._next()
            await self._slots.acquire()
            if self._draining or key not in self._due:
                self._slots.release()
                continue
            del self._due[key]
            task = group.create_task(self._run(key), name=f"wakeup {key}")
            self._busy[key] = task

    async def _next(self) -> str:
        """The next key that is due and is not being done."""
        clock = asyncio.get_running_loop().time
        while True:
            self._news.clear()
            pause: float | None = None
            while self._heap:
                due, _, key = self._heap[0]
                if self._due.get(key) != due:
                    heapq.heappop(self._heap)  # replaced or forgotten
                elif due > clock():
                    pause = due - clock()
                    break
                elif key in self._busy:
                    heapq.heappop(self._heap)  # its end puts it back
                else:
                    heapq.heappop(self._heap)
                    return key
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _run(self, key: str) -> None:
        try:
            await self._do(key)
        finally:
            del self._busy[key]
            self._slots.release()
            if key in self._due:
                heapq.heappush(self._heap, (self._due[key], next(self._order), key))
                self._news.set()
