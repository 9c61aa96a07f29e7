"""A TCP proxy before PostgreSQL that cuts a connection exactly when it commits."""

import contextlib
import re
import socket
import threading
from typing import Literal

Cut = Literal["after", "before", "meanwhile"]
"""What happens at the next COMMIT: the server does it and its reply is lost; it never gets there;
or the client is cut off first and the server does it while the client looks for it already."""

COMMIT = re.compile(rb"COMMIT(?!TED)")
"""Not READ COMMITTED, with which a transaction begins."""
CHUNK_BYTES = 65536
MEANWHILE_S = 0.4


class CuttingProxy:
    """Forwards everything to `target` until it is armed with a `Cut`; cuts once for each arming."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._lock = threading.Lock()
        self._armed: Cut | None = None
        self._for_good = False
        self.cuts = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def arm(self, cut: Cut, *, for_good: bool = False) -> None:
        """Cut at the next COMMIT; `for_good`, nobody gets through after it."""
        with self._lock:
            self._armed, self._for_good = cut, for_good

    def close(self) -> None:
        """Cut everything."""
        shut(self._server)
        for connection in list(self._open):
            shut(connection)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._open += [client, server]
            for pump in (self._up, self._down):
                thread = threading.Thread(target=pump, args=(client, server), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(CHUNK_BYTES):
                client.sendall(chunk)
        shut(client)
        shut(server)

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := client.recv(CHUNK_BYTES):
                cut = self._cut(chunk, (client, server))
                if cut is not None:
                    # What the server says from now on has nowhere to go.
                    shut(client)
                    if cut == "meanwhile":
                        threading.Event().wait(MEANWHILE_S)
                    if cut != "before":
                        server.sendall(chunk)
                        wait_for_end_of(server)
                    break
                server.sendall(chunk)
        shut(client)
        shut(server)

    def _cut(self, chunk: bytes, pair: tuple[socket.socket, socket.socket]) -> Cut | None:
        with self._lock:
            if self._armed is None or not COMMIT.search(chunk):
                return None
            cut, self._armed = self._armed, None
            self.cuts += 1
            if self._for_good:
                shut(self._server)
                for other in self._open:
                    if other not in pair:
                        shut(other)
            return cut


def wait_for_end_of(server: socket.socket) -> None:
    """Until the server has read all that was sent to it, and ended."""
    server.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError):
        while server.recv(CHUNK_BYTES):
            pass


def shut(connection: socket.socket) -> None:
    """Both ways, and at once."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
