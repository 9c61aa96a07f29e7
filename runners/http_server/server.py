"""The HTTP server: uvicorn's protocol in an event loop of ours.

Not `uvicorn.Server`: it takes over signals (and ends with status 143), exits the process where a
port is taken, and stops waiting for clients without closing their connections.
"""

import asyncio
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from runners.http_server.connection import Connection
from runners.http_server.connection_pool import ConnectionPool, Fault, KnownAnswers, Limits
from runners.http_server.quick_connection import QuickConnection
from runners.http_server.tls import Tls
from runners.http_server.tls_handshake import Handshake

__all__ = ["CannotListen", "Limits", "Server"]

BACKLOG = 2048
ANY_ADDRESS = "::"
"""Every address of this machine, of IPv6 and of IPv4."""
DATE_EVERY_S = 1.0
HSTS = (b"strict-transport-security", b"max-age=31536000")
"""Over TLS only (RFC 6797): a browser that was here once never asks without TLS again, for a
year."""
FILES_RESERVED = 384
"""What the database, SSH and the rest may have open beside the clients' connections."""
CANCEL_TIMEOUT_S = 2.0
"""How long requests may take to end after they were told to."""


class CannotListen(Exception):
    """The address cannot be listened on; the text says why."""


def _unsaid(fault: Fault, client: str, request_id: str) -> None:
    """What is called for a fault where the caller gave nothing to call."""


class Server:
    """Serves an ASGI application at an address. Port 0 takes any that is free."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        limits: Limits | None = None,
        *,
        on_fault: Callable[[Fault, str, str], None] = _unsaid,
        tls: Tls | None = None,
        known: KnownAnswers | None = None,
    ) -> None:
        self._app = app
        self._tls = tls
        self._host = host
        self._wanted_port = port
        self._port: int | None = None
        self._limits = limits or Limits()
        self.faults: Counter[str] = Counter()
        """What was refused before it was a request, since the start, by kind."""

        def count(fault: Fault, client: str, request_id: str) -> None:
            self.faults[fault.kind] += 1
            on_fault(fault, client, request_id)

        self._pool = ConnectionPool(ServerState(), self._limits, count, known)
        self._listener: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; known once the server has started."""
        if self._port is None:
            raise RuntimeError("the server has not started")
        return self._port

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._pool.state.connections)

    @property
    def connections_max(self) -> int:
        """How many connections may be open."""
        return self._pool.limits.connections_max

    async def start(self) -> None:
        """Listen. Raises `CannotListen`."""
        loop = asyncio.get_running_loop()
        config = Config(
            self._app,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            # X-Forwarded-For would be believed from anybody on this machine.
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
        )
        config.load()
        connections_max = _files_allowed(self._limits.connections_max)
        self._pool.limits = self._limits._replace(connections_max=connections_max)
        self._set_date(loop)
        try:
            self._listener = await self._listen(self._protocols(config, loop), loop)
        except (OSError, OverflowError) as error:
            self._stop_clock()
            reason = getattr(error, "strerror", None) or str(error)
            raise CannotListen(
                f"cannot listen on {self._host} port {self._wanted_port}: {reason}"
            ) from None
        self._port = int(self._listener.sockets[0].getsockname()[1])

    async def _listen(
        self, protocols: Callable[[], asyncio.BaseProtocol], loop: asyncio.AbstractEventLoop
    ) -> asyncio.Server:
        if self._host == ANY_ADDRESS and socket.has_dualstack_ipv6():
            # Left to asyncio, it would be those of IPv6 only.
            address = (self._host, self._wanted_port)
            both = socket.create_server(address, family=socket.AF_INET6, dualstack_ipv6=True)
            return await loop.create_server(protocols, sock=both, backlog=BACKLOG)
        return await loop.create_server(protocols, self._host, self._wanted_port, backlog=BACKLOG)

    async def stop(self, timeout_s: float) -> None:
        """Take no more requests, answer those that came, and close all connections.

        What is not answered within the limit is cancelled, and its connection is closed.
        """
        if self._listener is None:
            return
        self._listener.close()
        state, empty = self._pool.state, self._pool.empty
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(timeout_s):
                while state.connections:
                    empty.clear()
                    await empty.wait()
        except TimeoutError:
            await self._give_up()
        self._stop_clock()

    async def _give_up(self) -> None:
        tasks = list(self._pool.state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT_S)
        for connection in list(self._pool.state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    def _protocols(
        self, config: Config, loop: asyncio.AbstractEventLoop
    ) -> Callable[[], asyncio.BaseProtocol]:
        """What makes the protocol of a new connection: HTTP at once, or TLS first."""
        pool, tls = self._pool, self._tls
        kind = Connection if pool.known is None else QuickConnection
        if tls is None:
            return lambda: kind(config, pool, loop)
        return lambda: Handshake(
            pool, tls.context, loop, lambda agreed: kind(config, pool, loop, agreed)
        )

    def _set_date(self, loop: asyncio.AbstractEventLoop) -> None:
        date = formatdate(time.time(), usegmt=True).encode()
        always = [(b"date", date)]
        self._pool.state.default_headers = always if self._tls is None else [*always, HSTS]
        self._clock = loop.call_later(DATE_EVERY_S, self._set_date, loop)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()


def _files_allowed(connections: int) -> int:
    """How many connections this process may have; a low soft limit of open files is raised.

    Without it the 1,024 of most systems would end accepting long before our own limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_RESERVED
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(1, allowed - FILES_RESERVED)
