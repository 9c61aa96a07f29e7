"""Many listeners of an event stream, and one client whose changes they are told of.

    python -m bench.stream_client LISTENERS URL STREAM PUT [HEADER]...

prints the 99th percentile of the time from a PUT's answer to its event, over all listeners, in
milliseconds. The names of what is PUT begin with the path PUT.
"""

import asyncio
import sys
import time
from statistics import quantiles
from urllib.parse import urlsplit

import uvloop

WARM_UP = 3
CHANGES = 30
TIMEOUT_S = 30.0
FRAME = b"data: "
CREATED = b"HTTP/1.1 201 "


class Round:
    """One change: when it was answered, and when each listener heard of it."""

    def __init__(self, listeners: int) -> None:
        self._missing = listeners
        self.heard: list[float] = []
        self.answered = 0.0
        self.over = asyncio.Event()

    def hear(self) -> None:
        """Another listener has it."""
        self.heard.append(time.perf_counter())
        self._look()

    def answer(self) -> None:
        """The change was answered."""
        self.answered = time.perf_counter()
        self._look()

    def _look(self) -> None:
        if self.answered and len(self.heard) >= self._missing:
            self.over.set()


class Listener(asyncio.Protocol):
    """A stream that is read as fast as it comes."""

    def __init__(self, request: bytes, rounds: list[Round]) -> None:
        self._request = request
        self._rounds = rounds
        self.began = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # of TCP
        """Ask for the stream."""
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Something of it came."""
        self.began.set()
        for _ in range(data.count(FRAME)):
            self._rounds[-1].hear()


class Changer(asyncio.Protocol):
    """A connection that PUTs."""

    def __init__(self, rounds: list[Round]) -> None:
        self._rounds = rounds
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # of TCP
        """It is there to be written to."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """The head of the answer, with its body or without."""
        if data.startswith(CREATED):
            self._rounds[-1].answer()
        elif not self._rounds[-1].answered:
            raise RuntimeError(data.decode())


async def measure(listeners: int, url: str, stream: str, put: str, headers: list[str]) -> float:
    """All rounds; gives milliseconds."""
    place = urlsplit(url)
    host, port = place.hostname or "", place.port or 80
    loop = asyncio.get_running_loop()
    rounds: list[Round] = []
    more = "".join(f"{header}\r\n" for header in ["Host: bench", *headers])
    asked = f"GET {stream} HTTP/1.1\r\n{more}\r\n".encode()
    for _ in range(listeners):
        _, listener = await loop.create_connection(lambda: Listener(asked, rounds), host, port)
        await listener.began.wait()
    _, changer = await loop.create_connection(lambda: Changer(rounds), host, port)
    for number in range(WARM_UP + CHANGES):
        rounds.append(Round(listeners))
        body = f"PUT {put}{number} HTTP/1.1\r\n{more}Content-Length: 2\r\n\r\n{{}}"
        changer.transport.write(body.encode())
        async with asyncio.timeout(TIMEOUT_S):
            await rounds[-1].over.wait()
    times = [heard - one.answered for one in rounds[WARM_UP:] for heard in one.heard]
    return quantiles(times, n=100)[98] * 1000


def main() -> None:
    """Print one number."""
    listeners, url, stream, put, *headers = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(measure(int(listeners), url, stream, put, headers)))


if __name__ == "__main__":
    main()
