"""What all connections of a server share: their limits, and the room that there is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, Protocol

from uvicorn.server import ServerState

from web.http.replies import SentAnswer

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE

HEAD_BYTES_FREE = 4 * KIBIBYTE
"""So much of a head that is not finished is kept for everybody: nobody has logged in by then."""
HEADS_BYTES_MAX = 8 * MEBIBYTE
"""What all heads together may have beyond that; the longest on its way has to go for a new one."""
FIELD_BYTES = 128
"""What Python takes for a field of a head beside its text, a pair of two bytes objects; it
counts like text."""


class Limits(NamedTuple):
    """What a client may do. Sizes in bytes, times in seconds."""

    header_bytes_max: int = 32 * KIBIBYTE
    header_timeout_s: float = 10.0
    body_bytes_max: int = MEBIBYTE
    keep_alive_s: float = 15.0
    connections_max: int = 16_384
    send_stall_s: float = 30.0
    """A client that takes no byte of an answer for so long is gone."""
    tls_handshake_timeout_s: float = 10.0


class Fault(NamedTuple):
    """Why a request is answered without being looked at further."""

    kind: str
    detail: str


CROWDED = Fault("crowded", "Too many connections are open: try again in a moment.")
LONG_HEADS = Fault("crowded", "Too many long heads are on their way: try again in a moment.")
SYNTAX = Fault("syntax", "What came is no HTTP/1.1 request.")
UNANNOUNCED = Fault(
    "syntax",
    "Nothing was done: a body is announced, and whole, by Content-Length or Transfer-Encoding"
    " (RFC 9112, 6.3).",
)
NO_HOST = Fault("syntax", "A request has one Host header (RFC 9112, 3.2).")


class KnownAnswers(Protocol):
    """Whoever knows answers to requests that are not parsed yet."""

    def comes_again(self, request: bytes) -> bool:
        """Whether these bytes came before, so that their answer is worth keeping."""
        ...

    def answer(self, request: bytes, client: tuple[str, int] | None) -> SentAnswer | None:
        """The whole answer to these bytes; None where it is not known."""
        ...


class Evictable(Protocol):
    """A connection on which nobody waits for an answer."""

    def leave(self, fault: Fault = CROWDED) -> None:
        """Close, to make room for another; a head that is not finished is told why."""
        ...


@dataclass
class ConnectionPool:
    """All connections of a server."""

    state: ServerState
    limits: Limits
    on_fault: Callable[[Fault, str, str], None]
    """Told of each fault, with the client's address and the request id that it was answered."""
    known: KnownAnswers | None = None
    unfinished: "dict[Evictable, None]" = field(default_factory=dict)
    """Those that have said nothing yet, or no whole head, or still send what was refused; in the
    order in which they began to."""
    idle: "dict[Evictable, None]" = field(default_factory=dict)
    """Those that were answered and wait for the next request, in the order in which they began to.
    """
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    _beyond: "dict[Evictable, int]" = field(default_factory=dict)
    """How many bytes of a head that is not finished are more than `HEAD_BYTES_FREE`."""
    _all_beyond: int = 0

    def make_room(self) -> bool:
        """Whether one more connection fits; one that waits for no answer may have to go for it.

        Whoever was answered before is most likely to ask again, and goes last.
        """
        if len(self.state.connections) <= self.limits.connections_max:
            return True
        for oldest in chain(self.unfinished, self.idle):
            oldest.leave()
            return True
        return False

    def keep_head(self, connection: Evictable, head_bytes: int, fields: int) -> None:
        """So much of a head that is not finished is kept; others may have to go for it.

        A client that means it sends its head at once: what has been on its way for longest goes.
        """
        beyond = max(0, head_bytes + fields * FIELD_BYTES - HEAD_BYTES_FREE)
        if not beyond:
            return
        self._all_beyond += beyond - self._beyond.get(connection, 0)
        self._beyond[connection] = beyond
        while self._all_beyond > HEADS_BYTES_MAX:
            oldest = next(iter(self._beyond))
            self._free_head(oldest)
            oldest.leave(LONG_HEADS)

    def forget(self, connection: Evictable) -> None:
        """It is gone, or somebody waits for an answer on it."""
        self.unfinished.pop(connection, None)
        self.idle.pop(connection, None)
        self._free_head(connection)

    def _free_head(self, connection: Evictable) -> None:
        self._all_beyond -= self._beyond.pop(connection, 0)
