"""Whether the client of a request is still there: what nobody waits for need not be done."""

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

SCOPE_KEY = "commissaire.presence"
"""Where the server keeps the presence of a request's client in the ASGI scope."""

T = TypeVar("T")


class Presence:
    """The client at the other end of one connection. On the event loop's thread only."""

    def __init__(self) -> None:
        self.is_gone = False
        self.is_leaving = False
        """It has closed its half of the connection: it may wait for an answer, but few do."""
        self.hang_up: Callable[[], None] = lambda: None
        """Close the connection at once, whatever is still to be sent; of the server."""
        self._attended: set[asyncio.Task[Any]] = set()

    def leave(self) -> None:
        """The connection is closed: what is done for it alone is cancelled."""
        self.is_gone = True
        for task in tuple(self._attended):
            task.cancel()

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives, as long as the client is there. Raises `ClientDisconnect`."""
        task = self._begin(work)
        try:
            return await task
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if self.is_gone and not (this and this.cancelling()):
                raise ClientDisconnect from None
            raise
        finally:
            self._attended.discard(task)

    def _begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        if self.is_gone:
            work.close()
            raise ClientDisconnect
        task = asyncio.create_task(work)
        self._attended.add(task)
        return task


def presence_of(scope: MutableMapping[str, Any]) -> Presence:
    """That of the client that sent this request; of one that stays, where nobody says."""
    found: Presence | None = scope.get(SCOPE_KEY)
    return Presence() if found is None else found
