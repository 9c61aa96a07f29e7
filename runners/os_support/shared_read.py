"""Reading that may block for ever, such as from a file on a network that is away.

It has a thread of its own, and only one: whoever asks meanwhile waits for that one. So a read that
hangs costs one thread, however often it is asked for, and holds up neither others' threads nor
the end of the process.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from runners.os_support.shared_answer import notice

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Calls `read` in a thread, and gives all who wait for it what it gives or raises."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._under_way: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        """The result of a read; of one that is under way already, where there is one."""
        if self._under_way is None:
            self._under_way = self._begin()
        # Who gives up leaves the others their read.
        return await asyncio.shield(self._under_way)

    def _begin(self) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T] = loop.create_future()
        ended.add_done_callback(notice)
        thread = partial(self._run, loop, ended)
        # Where no thread can be had, who asks is told so, and nobody waits for this read.
        threading.Thread(target=thread, name="shared-read", daemon=True).start()
        return ended

    def _run(self, loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[T]") -> None:
        try:
            end = partial(ended.set_result, self._read())
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            end = partial(ended.set_exception, error)

        def publish() -> None:
            self._under_way = None
            end()

        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(publish)
