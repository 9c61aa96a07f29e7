"""A connection until TLS is agreed on: it has a time limit, and counts as one from the start.

uvloop's own way (`create_server(ssl=…)`) tells nobody of a connection before its handshake is
done, so that any number of clients could stay there.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

from runners.http_server.connection_pool import CROWDED, ConnectionPool, Fault

SHUTDOWN_TIMEOUT_S = 1.0
"""How long a client may take to agree that the connection ends. Most never do, and need not (RFC
8446, 6.1); without the wait, what they still send would cost them the end of the answer."""

AGREED = Callable[[], None]


class Handshake(asyncio.Protocol):
    """Agrees on TLS; `secured(agreed)` gives who goes on then, and calls `agreed` as it begins."""

    transport = None
    """There is none to be aborted: the server cancels the handshake."""

    def __init__(
        self,
        pool: ConnectionPool,
        context: ssl.SSLContext,
        loop: asyncio.AbstractEventLoop,
        secured: Callable[[AGREED], asyncio.Protocol],
    ) -> None:
        self._pool = pool
        self._context = context
        self._loop = loop
        self._secured = secured
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected: there is room, or not a word."""
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if peer else ""
        # Not `start_tls`: uvloop reads what comes before that can begin, and it would be lost.
        raw = transport.get_extra_info("socket")
        try:
            connected = socket.socket(fileno=os.dup(raw.fileno()))
        except OSError as error:  # too many files are open
            self._tell(Fault("crowded", error.strerror or str(error)))
            return
        finally:
            transport.abort()  # type: ignore[attr-defined] # of TCP
        self._pool.state.connections.add(self)  # type: ignore[arg-type] # has what is used of it
        if not self._pool.make_room():
            self._tell(Fault("crowded", "There was no room for a handshake."))
            self._forget()
            connected.close()
            return
        self._pool.unfinished[self] = None
        self._task = self._loop.create_task(self._agree(connected), name="tls handshake")

    def leave(self, fault: Fault = CROWDED) -> None:
        """Close, to make room for another."""
        self._forget()
        if self._task is not None:
            self._task.cancel()

    def shutdown(self) -> None:
        """The server stops; nothing was asked yet."""
        self.leave()

    async def _agree(self, connected: socket.socket) -> None:
        try:
            connected.setblocking(False)
            await self._loop.connect_accepted_socket(
                lambda: self._secured(self._forget),
                connected,
                ssl=self._context,
                ssl_handshake_timeout=self._pool.limits.tls_handshake_timeout_s,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )
        except OSError as error:  # errors of TLS, and of time, are some
            self._tell(Fault("tls", getattr(error, "reason", None) or type(error).__name__))
            connected.close()
        except asyncio.CancelledError:
            connected.close()  # where it had not begun
            raise
        finally:
            self._forget()

    def _tell(self, fault: Fault) -> None:
        self._pool.on_fault(fault, self._client, "")

    def _forget(self) -> None:
        """This does not count any more: as a connection of its own, or not at all."""
        self._pool.forget(self)
        self._pool.state.connections.discard(self)
        if not self._pool.state.connections:
            self._pool.empty.set()
