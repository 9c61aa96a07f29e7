"""Answers as they leave, over a real socket."""

import asyncio

from starlette.types import Receive, Scope, Send

from runners.http_server.server import Server

TIMEOUT_S = 60.0
HEAD = {"type": "http.response.start", "status": 200}
LONG = b"x" * 200_000


async def conversation(path: str, server: Server, go_on: asyncio.Event) -> list[bytes]:
    """The head of an answer, and what comes after it once `go_on` is set."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(TIMEOUT_S):
        head = await reader.readuntil(b"\r\n\r\n")
        go_on.set()
        rest = await reader.read()
    writer.close()
    await writer.wait_closed()
    return [head, rest]


async def test_a_stream_begins_before_there_is_anything_to_stream() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**HEAD, "headers": []})
        await go_on.wait()  # a client that is not told of the head waits for ever
        await send({"type": "http.response.body", "body": b"late"})

    server = Server(app, "127.0.0.1", 0)
    await server.start()
    head, rest = await conversation("/", server, go_on)
    await server.stop(TIMEOUT_S)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert rest == b"4\r\nlate\r\n0\r\n\r\n"


async def test_short_long_and_empty_bodies_and_pieces_arrive_whole() -> None:
    pieces = {"/short": [b"a"], "/long": [LONG], "/empty": [b""], "/pieces": [b"a", LONG, b"b"]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = pieces[scope["path"]]
        length = str(sum(map(len, body))).encode()
        await send({**HEAD, "headers": [(b"content-length", length)]})
        for number, piece in enumerate(body, 1):
            more = number < len(body)
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    server = Server(app, "127.0.0.1", 0)
    await server.start()
    for path, body in pieces.items():
        _, rest = await conversation(path, server, asyncio.Event())
        assert rest == b"".join(body)
    await server.stop(TIMEOUT_S)
