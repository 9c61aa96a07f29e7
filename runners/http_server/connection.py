"""One connection of a client: uvicorn's HTTP/1.1, with a limit on everything a client may do.

uvicorn (0.54) has none for slow or endless heads, for what is pipelined, for bodies that nobody
reads, or for clients that do not read; it answers malformed HTTP in plain text, in the middle of
another answer if need be; and it takes the trailers of a chunked body for headers.
"""

import asyncio
from collections.abc import Callable
from secrets import token_hex

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from runners.http_server.connection_pool import (
    CROWDED,
    KIBIBYTE,
    NO_HOST,
    SYNTAX,
    UNANNOUNCED,
    ConnectionPool,
    Fault,
)
from runners.http_server.request_parser import RequestParser
from runners.http_server.response_writer import CoalescedWrite, StallTimeout, refusal_bytes
from runners.http_server.tls import client_certificate
from web.authentication import presence
from web.authentication.certificates import SCOPE_KEY, ClientCertificate
from web.authentication.presence import Presence
from web.http.requests import READING

PIPELINED_MAX = 100
"""Requests that wait on one connection for the answer to the one before."""
RAW_BYTES_PER_BODY_BYTE = 8
"""A body in chunks of one byte is six times as long on the wire."""
LINGER_S = 5.0
"""How long the rest of a body is read and dropped after the answer: a client that is still
sending when the connection closes would lose the answer."""

TURN_BYTES = 32 * KIBIBYTE
"""After so many bytes in a piece others get their turn: libuv reads on while there is more, up to
eight megabytes, and everybody would wait for a client that sends faster than we read."""
REFUSED_PAUSE_S = 0.02  # before more is read of a body that was refused: nobody waits for it


class Connection(HttpToolsProtocol):
    """One connection. Overridden callbacks are those of asyncio and of the parser."""

    def __init__(
        self,
        config: Config,
        pool: ConnectionPool,
        loop: asyncio.AbstractEventLoop,
        agreed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config=config, server_state=pool.state, app_state={}, _loop=loop)
        self._parser = RequestParser(self)
        self.parser = self._parser  # type: ignore[assignment] # what is used of it
        self._pool = pool
        self._agreed = agreed
        self._certificate: ClientCertificate | None = None
        self._presence = Presence()
        self._limits = pool.limits
        self.timeout_keep_alive = pool.limits.keep_alive_s  # type: ignore[assignment] # call_later takes floats
        self._in_head = False
        self._ends_with_change = False  # what came last, and is not begun
        self._deaf = False  # what comes is not listened to any more
        self._close_when_read = False
        self._fault: Fault | None = None
        # The chunk that is parsed now, and whether no request has begun or gone on in it yet.
        self._chunk_bytes, self._chunk_is_fresh = 0, True
        # At most so many bytes of the request have come; at most so many are not its own.
        self._request_bytes = self._foreign_bytes = 0
        self._head_is_timed = False

    # Coming and going

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Somebody connected: there is room, or an answer that there is none."""
        self._agreed()
        super().connection_made(transport)
        self._presence.hang_up = transport.abort
        self._certificate = client_certificate(transport.get_extra_info("ssl_object"))
        self._stall = StallTimeout(transport, self.loop, self._limits.send_stall_s)
        if not self._pool.make_room():
            self.connections.discard(self)
            self._send(CROWDED)
            return
        self._pool.unfinished[self] = None
        self._arm(self._limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, by whomever."""
        super().connection_lost(exc)
        self._presence.leave()
        self._parser.close()
        self._unset_keepalive_if_required()
        self._stall.end()
        self._pool.forget(self)
        if not self.connections:
            self._pool.empty.set()

    def leave(self, fault: Fault = CROWDED) -> None:
        """Make room for another; whoever has begun to ask is told why."""
        self._pool.forget(self)
        if not self._busy:  # else its answer is still waited for
            self.connections.discard(self)
        if self._in_head:
            self._refuse(fault)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """The server stops: answer what is under way, then close."""
        super().shutdown()
        self._stall.begin()

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Bytes came; they may begin, continue and end several requests."""
        if len(data) >= TURN_BYTES and not self.flow.read_paused:
            self.transport.pause_reading()
            pause_s = REFUSED_PAUSE_S if self._in_body and not self._busy else 0.0
            self.loop.call_later(pause_s, self._read_on)
        if self._deaf:
            return
        self._pool.idle.pop(self, None)
        self._chunk_bytes, self._chunk_is_fresh = len(data), not (self._in_head or self._in_body)
        self._request_bytes += self._chunk_bytes
        self._ends_with_change = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._ends_with_change and not (self._fault or (self._in_head and self.url)):
                self._refuse(UNANNOUNCED, undo=True)
            else:
                self._refuse(self._fault or SYNTAX)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # after CONNECT: what follows is not for us
        else:
            self._check_progress()

    def eof_received(self) -> bool:  # type: ignore[override] # uvicorn always closes
        """The client has said all that it will; it may still wait for the answer to that."""
        if self.scheme != "http" or self._in_body or not self._busy or self.cycle.response_started:
            return False  # which closes; TLS knows no half of a connection
        self.cycle.keep_alive = False
        self._presence.is_leaving = True
        return True

    def _read_on(self) -> None:
        if not (self.flow.read_paused or self.transport.is_closing()):
            self.transport.resume_reading()

    def _check_progress(self) -> None:
        """After each chunk: an unfinished request must not be too long or take too long."""
        if self._in_head:
            if self._request_bytes - self._foreign_bytes > self._limits.header_bytes_max:
                self._refuse(self._head_too_large())
                return
            if not (self._head_is_timed or self._busy):
                self._time_head()
            self._pool.keep_head(self, self._request_bytes, len(self.headers))
        elif self._in_body:
            if self._request_bytes > self._limits.body_bytes_max * RAW_BYTES_PER_BODY_BYTE:
                self._refuse(Fault("body_size", "The body does not end."))
        elif not self._busy and self not in self._pool.unfinished:
            self._pool.idle[self] = None  # only line ends came: it is idle as before

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.scope[presence.SCOPE_KEY] = self._presence  # type: ignore[literal-required] # ours
        if self._certificate is not None:
            self.scope[SCOPE_KEY] = self._certificate  # type: ignore[literal-required] # ours
        self._in_head = True
        self._head_is_timed = False
        self._request_bytes = self._chunk_bytes
        self._foreign_bytes = 0 if self._chunk_is_fresh else self._chunk_bytes
        self._chunk_is_fresh = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer comes the same way and is dropped (RFC 9110, 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there: the application can begin."""
        self._in_head = False
        self._pool.forget(self)
        self._unset_keepalive_if_required()
        if self._request_bytes > self._limits.header_bytes_max and self._head_is_too_large():
            self._fault = self._head_too_large()
        elif len(self.pipeline) >= PIPELINED_MAX:
            self._fault = Fault("syntax", "Too many requests came before the first was answered.")
        elif [name for name, _ in self.headers].count(b"host") != 1 and not self._is_http_1_0():
            self._fault = NO_HOST
        if self._fault:
            raise ValueError(self._fault.kind)  # which ends the parser
        super().on_headers_complete()
        if self.scope["method"] not in READING:
            self._parser.expect_nothing_after_close()
        if self.parser.should_upgrade() or self.expect_100_continue:
            # Whether a client that was answered still sends its body cannot be known.
            self.cycle.keep_alive = False
        # A connection that is closed while the client still sends is reset, and the answer lost.
        close = self.transport.close if self.cycle.keep_alive else self._close_after_request
        self.cycle.transport = CoalescedWrite(self.transport, self.cycle, close)  # type: ignore[assignment] # what is used of it

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self.cycle.more_body = False
        self._ends_with_change = self.scope["method"] not in READING
        self._pool.forget(self)
        super().on_message_complete()
        if self._close_when_read:
            self.transport.close()
        elif self.cycle.response_complete:
            self._wait_for_next()

    def _is_http_1_0(self) -> bool:
        return self.parser.get_http_version() == "1.0"

    def _head_is_too_large(self) -> bool:
        fields = sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        return len(self.url) + fields > self._limits.header_bytes_max

    def _head_too_large(self) -> Fault:
        return Fault("head_size", f"A head may have {self._limits.header_bytes_max} bytes at most.")

    # What goes out

    def on_response_complete(self) -> None:
        """An answer is out: on with the next request, or wait for one."""
        was_last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            self._stall.begin()
        elif not was_last:
            # uvicorn reads on whatever waits; a client could fill the memory with requests.
            self.flow.pause_reading()
        elif self._in_body:
            self._pool.unfinished[self] = None
            self._arm(LINGER_S)
        elif self._fault:
            self._send(self._fault)
        else:
            self._wait_for_next()

    def _wait_for_next(self) -> None:
        if self._in_head:
            self._time_head()
        else:
            self._pool.idle[self] = None
            self._arm(self._limits.keep_alive_s)

    def _close_after_request(self) -> None:
        """Close, but not before the rest of the request was read, within limits."""
        if self._in_body:
            self._close_when_read = True
        else:
            self.transport.close()

    def _refuse(self, fault: Fault, *, undo: bool = False) -> None:
        """Listen no more, and say why, after what was asked before has been answered.

        `undo`: the last request, which has not begun, is not to be carried out either.
        """
        self._deaf = True
        self._fault = fault
        if undo or (self._in_body and not self.cycle.response_complete):
            if self.pipeline:
                self.pipeline.popleft()  # it has not begun, and never will
                self.cycle.more_body = False
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        elif self._busy:
            return
        self._send(fault)

    def _send(self, fault: Fault) -> None:
        self._deaf = True
        self._pool.forget(self)
        request_id = token_hex(8)
        lingering = self._in_body and not self._busy
        if not lingering:
            always = self.server_state.default_headers
            self.transport.write(refusal_bytes(fault, always, request_id))
        self.transport.close()
        self._stall.begin()
        self._pool.on_fault(fault, self.client[0] if self.client else "", request_id)

    # State and timers

    @property
    def _newest(self) -> RequestResponseCycle | None:
        """The request that came last."""
        return self.cycle

    @property
    def _in_body(self) -> bool:
        """Whether its body is still coming."""
        newest = self._newest
        return newest is not None and newest.more_body and not self._in_head

    @property
    def _busy(self) -> bool:
        """Whether it still waits for its answer."""
        newest = self._newest
        return newest is not None and not newest.response_complete

    def _time_head(self) -> None:
        self._head_is_timed = True
        self._pool.unfinished.setdefault(self)
        self._arm(self._limits.header_timeout_s)

    def _arm(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def timeout_keep_alive_handler(self) -> None:
        """What was waited for did not come in time: a request, or the rest of one."""
        if self._in_head:
            self._refuse(
                Fault(
                    "timeout",
                    f"The head did not come within {self._limits.header_timeout_s:g} seconds.",
                )
            )
        else:
            super().timeout_keep_alive_handler()
            self._stall.begin()

    def pause_writing(self) -> None:
        """The client takes the answer more slowly than we give it."""
        super().pause_writing()
        self._stall.begin()

    def resume_writing(self) -> None:
        """The client has taken most of it."""
        super().resume_writing()
        self._stall.end()
