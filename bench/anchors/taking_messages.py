"""A receiver of webhooks that takes so many messages, and says how long they took.

    python -m bench.anchors.taking_messages COUNT

Prints its URL. The first message is held, which is said, until a line comes on standard input; once
all have come, the seconds since then are printed. Whatever comes later is taken, until standard
input ends.
"""

import asyncio
import sys
import time

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
TAKEN_LAST = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
LENGTH = b"content-length:"


class Taking:
    """Counts messages."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.released = asyncio.Event()
        self.began = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, with one message or many."""
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                (length,) = [line for line in head.split(b"\r\n") if line.startswith(LENGTH)]
                await reader.readexactly(int(length.removeprefix(LENGTH)))
            except asyncio.IncompleteReadError:
                break
            if not self.released.is_set():
                print("held", flush=True)
                await self.released.wait()
            self.left -= 1
            if self.left == 0:
                print(time.perf_counter() - self.began, flush=True)
            is_last = b"connection: close" in head
            writer.write(TAKEN_LAST if is_last else TAKEN)
            await writer.drain()
            if is_last:
                break
        writer.close()


async def main() -> None:
    """Until standard input ends."""
    taking = Taking(int(sys.argv[1]))
    server = await asyncio.start_server(taking.serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    taking.began = time.perf_counter()
    taking.released.set()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
