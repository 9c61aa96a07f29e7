"""One question for all who have it: asked once, and answered to each of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """Calls `ask()` for all who wait; one call is under way at a time, and one is next.

    Who comes while a call is under way waits for the next, so no answer is older than its question.
    Who gives up leaves the others their answer.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], name: str) -> None:
        self._ask = ask
        self._name = name
        self._under_way: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """What `ask()` gives or raises, in a call that begins after this one."""
        if self._next is None:
            asking = self._ask_after(self._under_way)
            self._next = asyncio.create_task(asking, name=self._name)
            self._next.add_done_callback(notice)
        return await asyncio.shield(self._next)

    async def close(self) -> None:
        """Ask no more."""
        asking = [task for task in (self._under_way, self._next) if task is not None]
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)

    async def _ask_after(self, before: "asyncio.Task[T] | None") -> T:
        if before is not None:
            await asyncio.wait((before,))
        self._under_way, self._next = self._next, None
        return await self._ask()


def notice(answered: "asyncio.Future[T]") -> None:
    """An error that nobody waits for any more is no news; asyncio would write it into the log."""
    if not answered.cancelled():
        answered.exception()
