"""Answers on their way to a client that may be slow, gone, or still sending."""

import asyncio
from collections.abc import Callable, Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from runners.http_server.connection_pool import Fault
from web.http.problems import Problem
from web.http.replies import Header

JOINED_BYTES_MAX = 64 * 1024
"""Copying a longer body next to its head costs more than another write."""


class StallTimeout:
    """Cuts a connection whose client takes nothing of what waits to be sent."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, stall_s: float
    ) -> None:
        self._transport = transport
        self._stall_s = stall_s
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Watch, if anything waits."""
        self.end()
        left = self._transport.get_write_buffer_size()
        if left:
            self._timer = self._loop.call_later(self._stall_s, self._check, left)

    def end(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, before: int) -> None:
        if self._transport.get_write_buffer_size() >= before:
            self._transport.abort()
        else:
            self.begin()


class CoalescedWrite:
    """As much of a transport as uvicorn uses for an answer: head and body go out in one write.

    uvicorn writes the head alone, which doubles the system calls (and TLS records) of an answer.
    Only where the length of the body is known: a stream's head must not wait for what it streams.
    Closing the connection is left to `close`.
    """

    __slots__ = ("_close", "_cycle", "_head", "_write", "is_closing")

    def __init__(
        self,
        transport: asyncio.Transport,
        cycle: RequestResponseCycle,
        close: Callable[[], None],
    ) -> None:
        self._write = transport.write
        self._cycle = cycle
        self._close = close
        self._head: bytes | None = b""  # None after it was sent
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Send, or keep a head until the body comes."""
        head = self._head
        if head is None:
            self._write(data)
        elif head:
            self._head = None
            if len(data) <= JOINED_BYTES_MAX:
                self._write(head + data)
            else:
                self._write(head)
                self._write(data)
        elif self._cycle.chunked_encoding is False and self._cycle.scope["method"] != "HEAD":
            self._head = data
        else:
            self._write(data)

    def close(self) -> None:
        """Close, after what was kept."""
        if self._head:
            self._write(self._head)
            self._head = None
        self._close()


def refusal_bytes(fault: Fault, always: Iterable[Header], request_id: str) -> bytes:
    """The whole answer to what is no request, with the headers that every answer has."""
    reply = Problem(*fault).reply()
    lines = [b"%b: %b\r\n" % header for header in (*always, *reply.raw_headers)]
    named = b"x-request-id: %b\r\n\r\n" % request_id.encode()
    return b"".join([STATUS_LINE[reply.status_code], *lines, named, bytes(reply.body)])
