"""Open pages: connections that ask for a live view, and read all that comes.

    python -m bench.page_client COUNT URL PATH [HEADER]...

prints a line when all have been told something, and goes on until it is killed.
"""

import asyncio
import sys
from urllib.parse import urlsplit

import uvloop

TIMEOUT_S = 60.0
PIECE_BYTES = 1024 * 1024


async def main(count: int, url: str, path: str, headers: list[str]) -> None:
    """Until it is killed."""
    host = urlsplit(url).netloc
    asked = "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()
    begun = [asyncio.Event() for _ in range(count)]
    reading = [asyncio.create_task(_read(host, asked, each)) for each in begun]
    async with asyncio.timeout(TIMEOUT_S):
        for each in begun:
            await each.wait()
    print("open", flush=True)
    await asyncio.wait(reading)


async def _read(host: str, asked: bytes, begun: asyncio.Event) -> None:
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    writer.write(asked)
    seen = b""
    while piece := await reader.read(PIECE_BYTES):
        if not begun.is_set():
            seen += piece
            if b"event: view" in seen:
                begun.set()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
