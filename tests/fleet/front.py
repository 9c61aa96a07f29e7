"""A TCP front that takes a host's address while its sshd listens on another port behind it.

Each connection follows the next of the planned faults; without any left it is passed through.
"""

import contextlib
import selectors
import socket
import threading
from collections import deque
from dataclasses import dataclass

CHUNK_BYTES = 65_536
BACKLOG = 512


@dataclass(frozen=True)
class Fault:
    """What happens to one connection.

    closes_after: bytes from the host to the client before the connection is closed (0: it is
    closed before the banner; None: never); stalls: it is held open and silent then, not closed;
    silent: nothing is ever sent, nothing closed.
    """

    closes_after: int | None = None
    stalls: bool = False
    silent: bool = False


NO_FAULT = Fault()


class Front:
    """Listens at (address, port), passes connections on to `behind` on the same address."""

    def __init__(self, address: str, port: int, behind: int) -> None:
        self.plan: deque[Fault] = deque()
        self.accepted = 0
        self._address = address
        self._behind = behind
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(
            (address, port),
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            backlog=BACKLOG,
        )
        self._keep(self._listener)
        self._thread = threading.Thread(target=self._accept, name="fleet-front", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut every connection; may be called again."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that holds it
        self._thread.join()
        self._forget(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            fault = self.plan.popleft() if self.plan else NO_FAULT
            if fault.closes_after == 0:
                client.close()
                continue
            self._keep(client)
            threading.Thread(target=self._serve, args=(client, fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault) -> None:
        try:
            if fault.silent:
                _listen_in_vain(client)
            else:
                with socket.create_connection((self._address, self._behind)) as host:
                    self._keep(host)
                    try:
                        _pass_through(client, host, fault.closes_after)
                        if fault.stalls:
                            _listen_in_vain(client)
                    finally:
                        self._forget(host)
        except OSError:
            pass
        finally:
            self._forget(client)
            client.close()

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)


def _listen_in_vain(client: socket.socket) -> None:
    while client.recv(CHUNK_BYTES):
        pass


def _pass_through(client: socket.socket, host: socket.socket, limit: int | None) -> None:
    """Copy both ways until one side ends, or `limit` bytes have gone to the client."""
    sent = 0
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ, host)
        ready.register(host, selectors.EVENT_READ, client)
        while True:
            for key, _ in ready.select():
                source, target = key.fileobj, key.data
                if not isinstance(source, socket.socket):
                    return
                chunk = source.recv(CHUNK_BYTES)
                if not chunk:
                    return
                if source is host and limit is not None:
                    chunk = chunk[: limit - sent]
                    sent += len(chunk)
                target.sendall(chunk)
                if limit is not None and sent >= limit:
                    return
