"""What a host's step says, as server-sent events, from a byte on to its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import orjson

from domain.log.transaction import Transaction
from projections import operation_reads
from projections.beside_the_log import outputs
from projections.reads import Reads
from web.events.live_answer import LiveAnswer
from web.events.live_window import HEARTBEAT_S
from web.http.shown_text import shown, whole

LOOK_S = 0.5
"""How often more is looked for: what steps say is no event, and may come by another process."""
LIFE_S = 3600.0
"""After which a client has to come back, and to say who it is."""
RETRY = b"retry: 1000\n\n"


class Said(NamedTuple):
    """What a step said from a place on, and how far it has come."""

    text: bytes
    outcome: str
    is_over: bool


def said(tx: Transaction, name: str, address: str, place: int = 0) -> Said | None:
    """From where a piece begins; None where the host is not in the operation."""
    part = operation_reads.part(tx, name, address)
    if part is None:
        return None
    return Said(outputs.output(tx, name, address, place), part.outcome, part.is_over)


class Followers:
    """Whoever follows an output in this process."""

    def __init__(self, is_stopping: Callable[[], bool]) -> None:
        self.count = 0
        self.is_stopping = is_stopping


class OutputStream(LiveAnswer):
    """`id` is how many bytes were told up to there; `event: end` has the outcome, and is last."""

    def __init__(
        self,
        reads: Reads,
        part: tuple[str, str],
        offset: int,
        is_admitted: Callable[[], Awaitable[bool]],
        followers: Followers,
    ) -> None:
        super().__init__(is_admitted)
        self._reads = reads
        self._part = part
        self._offset = offset
        self._followers = followers

    def begin(self) -> None:
        """One more follows."""
        self._followers.count += 1

    def end(self) -> None:
        """One less follows."""
        self._followers.count -= 1

    async def all(self) -> AsyncIterator[bytes]:
        """What was said beyond the offset, then what is said, and how it ended."""
        yield RETRY
        loop = asyncio.get_running_loop()
        begun = heard = loop.time()
        place = told = 0
        rest = b""
        while not (self._gone or self._followers.is_stopping()):
            found = await self._reads.fresh(said, *self._part, place)
            if found is None:  # the log went back
                return
            place += len(found.text)
            rest += found.text
            usable = rest if found.is_over else whole(rest)
            rest = rest[len(usable) :]
            text = await asyncio.to_thread(shown, usable) if usable else b""
            news = text[max(0, self._offset - told) :]
            told += len(text)
            if news:
                heard = loop.time()
                yield _frame(told, news)
            if found.is_over:
                yield b"id: %d\nevent: end\ndata: %b\n\n" % (
                    max(told, self._offset),
                    orjson.dumps({"outcome": found.outcome}),
                )
                return
            if loop.time() - begun > LIFE_S:
                return
            if loop.time() - heard > HEARTBEAT_S:
                heard = loop.time()
                yield b":\n\n"
            await self._pause()

    async def _pause(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._waiting,), timeout=LOOK_S)


def _frame(place: int, text: bytes) -> bytes:
    """The text as lines of one event; a browser puts them together again."""
    text = text.decode(errors="replace").encode()  # an offset may be within a character
    lines = text.replace(b"\n", b"\ndata: ")
    return b"id: %d\ndata: %b\n\n" % (place, lines)
