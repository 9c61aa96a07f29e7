"""The bare parts: Starlette under the same uvicorn, without anything of ours.

    python -m bench.anchors.bare_server DIRECTORY

The directory has the bytes to answer with, and gets the SQLite file that PUT commits to.
"""

import asyncio
import socket
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

BACKLOG = 2048
JSON = "application/json"
EVENT = b'{"data":"%b"}' % (b"x" * 340)
"""As long as an event of a new cluster."""
GROWN_BYTES = 16_000_000


def open_rows(path: Path) -> sqlite3.Connection:
    """A table whose commits survive a loss of power."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS rows (name TEXT PRIMARY KEY, body BLOB)")
    # Files that have grown already: while they grow, every commit waits for the file system too.
    connection.execute("INSERT INTO rows VALUES ('', zeroblob(?))", (GROWN_BYTES,))
    connection.execute("DELETE FROM rows")
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    return connection


def commit_row(connection: sqlite3.Connection, name: str, body: bytes) -> None:
    """One row, one commit."""
    connection.execute("INSERT INTO rows VALUES (?, ?)", (name, body))


class GroupedRows:
    """Rows that are committed by one thread, all that wait in one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[tuple[str, bytes, asyncio.Future[None]]] = []
        self._some = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    async def keep(self, name: str, body: bytes) -> None:
        """Keep a row; it is durable afterwards."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((name, body, done))
        self._some.set()
        await done

    def _run(self) -> None:
        rows = open_rows(self._path)
        while self._some.wait():
            self._some.clear()
            group, self._waiting = self._waiting, []
            if not group:
                continue
            rows.execute("BEGIN IMMEDIATE")
            rows.executemany("INSERT INTO rows VALUES (?, ?)", [each[:2] for each in group])
            rows.execute("COMMIT")
            group[0][2].get_loop().call_soon_threadsafe(_all_done, [each[2] for each in group])


def _all_done(group: Sequence["asyncio.Future[None]"]) -> None:
    for each in group:
        if not each.done():
            each.set_result(None)


def application(directory: Path) -> Starlette:
    """Six routes; whoever listens to the stream is told of each PUT."""
    one, many = (directory / "host").read_bytes(), (directory / "hosts").read_bytes()
    rows, grouped = open_rows(directory / "rows.db"), GroupedRows(directory / "grouped.db")

    listeners: set[asyncio.Queue[bytes]] = set()

    async def frames() -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        listeners.add(queue)
        try:
            yield b":\n\n"
            while True:
                yield await queue.get()
        finally:
            listeners.discard(queue)

    async def stream(request: Request) -> Response:
        return StreamingResponse(frames(), media_type="text/event-stream")

    async def host(request: Request) -> Response:
        return Response(one, media_type=JSON)

    async def hosts(request: Request) -> Response:
        return Response(many, media_type=JSON)

    async def unchanged(request: Request) -> Response:
        known = request.headers["if-none-match"]
        return Response(status_code=304, headers={"etag": known})

    async def put_in_group(request: Request) -> Response:
        await grouped.keep(request.path_params["name"], await request.body())
        return Response(one, 201, media_type=JSON)

    async def put(request: Request) -> Response:
        # On the loop: with one client, a thread would only make it slower.
        commit_row(rows, request.path_params["name"], await request.body())
        if listeners:
            frame = b"id: 1\ndata: %b\n\n" % EVENT
            for queue in listeners:
                queue.put_nowait(frame)
        return Response(one, 201, media_type=JSON)

    return Starlette(
        routes=[
            Route("/host/{address}", host),
            Route("/hosts", hosts),
            Route("/unchanged", unchanged),
            Route("/stream", stream),
            Route("/row/{name}", put, methods=["PUT"]),
            Route("/grouped/{name}", put_in_group, methods=["PUT"]),
        ]
    )


def main() -> None:
    """Serve until SIGTERM, after the address was printed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        application(Path(sys.argv[1])),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=None,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
