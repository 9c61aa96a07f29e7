"""A connection until TLS is agreed on: it has a time limit, and counts as one from the start.

uvloop's own way (`create_server(ssl=…)`) tells nobody of a connection before its handshake is
done, so that any number of clients could stay there.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from runners.crowd import Crowd, Fault
from runners.tls import client_certificate
from web.certificates import ClientCertificate

SHUTDOWN_TIMEOUT_S = 5.0
"""How long a client may take to agree that the connection ends."""


class Secured(Protocol):
    """What goes on with the connection: asyncio calls it as it calls any protocol."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """TLS is agreed on."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""

    def eof_received(self) -> None:
        """The client sends no more."""


class Handshake(asyncio.Protocol):
    """Agrees on TLS, then hands the connection over to what `secured` gives for the client."""

    def __init__(
        self,
        crowd: Crowd,
        context: ssl.SSLContext,
        loop: asyncio.AbstractEventLoop,
        secured: Callable[[ClientCertificate | None], Secured],
    ) -> None:
        self._crowd = crowd
        self._context = context
        self._loop = loop
        self._secured = secured
        self._early = b""
        self._ended = self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected: there is room, or not a word."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # TCP, always
        transport.pause_reading()  # type: ignore[attr-defined] # until TLS takes over
        self._crowd.state.connections.add(self)  # type: ignore[arg-type] # has what is used of it
        if not self._crowd.make_room():
            self._tell(Fault("crowded", "There was no room for a handshake."))
            self.leave()
            return
        self._crowd.idle[self] = None
        self._task = self._loop.create_task(self._agree(), name="tls handshake")

    def data_received(self, data: bytes) -> None:
        """The first request may come together with the end of the handshake."""
        self._early += data

    def eof_received(self) -> None:
        """The client sends no more."""
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._lost = True
        self._forget()

    def leave(self) -> None:
        """Close, to make room for another."""
        self._forget()
        self.transport.abort()

    def shutdown(self) -> None:
        """The server stops; nothing was asked yet."""
        self.leave()

    async def _agree(self) -> None:
        try:
            transport = await self._loop.start_tls(
                self.transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._crowd.limits.tls_handshake_timeout_s,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )
        except OSError as error:  # errors of TLS, and of time, are some
            self._tell(Fault("tls", getattr(error, "reason", None) or type(error).__name__))
            self.leave()
            return
        self._forget()
        if transport is None or self._lost:
            return
        certificate = client_certificate(transport.get_extra_info("ssl_object"))
        secured = self._secured(certificate)
        transport.set_protocol(secured)  # type: ignore[arg-type] # it is one
        secured.connection_made(transport)
        if self._early:
            secured.data_received(self._early)
        if self._ended:
            secured.eof_received()

    def _tell(self, fault: Fault) -> None:
        client = self.transport.get_extra_info("peername")
        self._crowd.on_fault(fault, str(client[0]) if client else "", "")

    def _forget(self) -> None:
        """This does not count any more: as a connection of its own, or not at all."""
        self._crowd.idle.pop(self, None)
        self._crowd.state.connections.discard(self)
        if not self._crowd.state.connections:
            self._crowd.empty.set()
