"""An answer that goes on until the client leaves, has to come back, or may not listen any more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from domain.log.engine import PersistenceError
from web.authentication.presence import Presence, presence_of
from web.http.replies import INERT, NO_STORE, NOSNIFF, Header
from web.http.requests import RENEW_EVERY_S

PIECE_BYTES = 64 * 1024
"""What is handed to a connection at once: it is asked for more when most of that is sent."""
LAST_PIECE_S = 0.3
"""How long a client may take to read what is under way to it when its stream has to end."""
END: Message = {"type": "http.response.body", "body": b"", "more_body": False}

EVENT_STREAM = "text/event-stream"
HEADERS: tuple[Header, ...] = (
    (b"content-type", EVENT_STREAM.encode()),
    NO_STORE,
    NOSNIFF,
    INERT,
    (b"x-accel-buffering", b"no"),  # nginx would keep it back
)


class LiveAnswer(Response):
    """Server-sent events; a kind of them says in `all` what is said."""

    def __init__(self, is_admitted: Callable[[], Awaitable[bool]]) -> None:
        # Not `super().__init__`: there is no body, and no length.
        self.status_code = 200
        self.background = None
        self.raw_headers = [*HEADERS]
        self._is_admitted = is_admitted
        self._gone = False
        self._waiting: asyncio.Future[None] | None = None

    def all(self) -> AsyncIterator[bytes]:
        """What is said, piece by piece."""
        raise NotImplementedError

    def begin(self) -> None:
        """Somebody listens from now on."""

    def end(self) -> None:
        """Nobody listens any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is said until the stream ends."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send(END)
            return
        leaving = asyncio.create_task(self._wait_until_gone(receive))
        watching = asyncio.create_task(self._watch_admission(presence_of(scope)))
        self.begin()
        try:
            try:
                await self._speak(send)
            except PersistenceError:
                pass  # the database is away: it comes back, and so does the client
            finally:
                self.end()
                leaving.cancel()
            await send(END)
        finally:
            watching.cancel()

    async def _speak(self, send: Send) -> None:
        async for said in self.all():
            for start in range(0, len(said), PIECE_BYTES):
                if self._gone:
                    return
                piece = said[start : start + PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _wait_until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stop()

    async def _watch_admission(self, presence: Presence) -> None:
        """End it soon after whoever listens has lost their credentials."""
        while True:
            if not await self._is_admitted():
                break
            await asyncio.sleep(RENEW_EVERY_S)
        self._stop()
        await asyncio.sleep(LAST_PIECE_S)
        presence.hang_up()

    def _stop(self) -> None:
        self._gone = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
