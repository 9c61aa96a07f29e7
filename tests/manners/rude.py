"""Rude clients, each with one kind of bad manners: a conversation that is had again and again."""

import asyncio
import base64
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from runners.http_server.connection_pool import MEBIBYTE
from tests.faults.client import address
from tests.manners.bad_input import Said, bodies, credentials, encoded, subjects

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
LEAKS = (b"Traceback", b'File "', b".py", b"hidden")
"""What no answer may have in it; rude clients call everything of theirs `hidden`."""
SLOW_PAUSE_S = 0.5
"""Between two bytes of a slow client."""
REQUESTS_PER_CONNECTION = 100
LARGE_BODY = b" " * (2 * MEBIBYTE)
CHUNK_BYTES = 64 * 1024
LISTED = 60_000
"""Addresses that fill a body of nearly a mebibyte."""
GOOD_PER_GARBAGE = 10
ADMINISTRATORS = {"hostkey", "network", "containermanager", "window"}
GARBAGE = (
    b"\x00\x01hidden\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"hidden\r\n\r\n" * 20,
    b"\xff" * 99,
)


@dataclass
class Target:
    """The service, and the `Authorization` of somebody who may change things there."""

    port: int
    authorization: str

    def head(self, verb: str, path: str, *headers: str, authorization: str | None = None) -> bytes:
        """A request without its body."""
        said = authorization or self.authorization
        lines = [f"{verb} {path} HTTP/1.1", "Host: x", f"Authorization: {said}", *headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def request(self, said: Said) -> bytes:
        """A whole one."""
        length = f"Content-Length: {len(said.body)}"
        head = self.head(said.verb, said.target, length, authorization=said.authorization)
        return head + said.body


@dataclass
class Tally:
    """What came of it: how often which status, and what should not have been said."""

    opened: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    dropped: int = 0
    """Connections that were closed without an answer."""
    leaks: set[str] = field(default_factory=set)

    def note(self, answers: bytes) -> None:
        """Everything that was said on a connection."""
        found = STATUS.findall(answers)
        self.statuses.update(map(int, found))
        self.dropped += not found
        self.leaks.update(leak.decode() for leak in LEAKS if leak in answers)


@dataclass
class Rude:
    """One client. `number` tells it from the others."""

    target: Target
    tally: Tally
    number: int
    said: int = 0

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        connection = await asyncio.open_connection("127.0.0.1", self.target.port)
        self.tally.opened += 1
        return connection

    async def say(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Say this, and hear everything until the service hangs up."""
        reader, writer = await self.connect()
        hearing = asyncio.ensure_future(reader.read(-1))
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if pause_s:
                    await asyncio.wait((hearing,), timeout=pause_s)
                if hearing.done():
                    break
            self.tally.note(await hearing)
        finally:
            hearing.cancel()
            writer.close()


async def idle(rude: Rude) -> None:
    """Connects, and says nothing."""
    await rude.say()


async def slow_head(rude: Rude) -> None:
    """A byte of the head now and then."""
    head = rude.target.head("GET", "/api/v0/clusters", "X-Long: " + "hidden" * 100)
    await rude.say(*(bytes([byte]) for byte in head), pause_s=SLOW_PAUSE_S)


async def slow_body(rude: Rude) -> None:
    """A byte of the body now and then."""
    head = rude.target.head("PUT", "/api/v0/cluster/slow", "Content-Length: 1000")
    await rude.say(head, *[b" "] * 1000, pause_s=SLOW_PAUSE_S)


async def unauthorized_body(rude: Rude) -> None:
    """The same without a user: refused at once, and then sent all the same."""
    head = b"PUT /api/v0/cluster/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    await rude.say(head, *[b" "] * 1000, pause_s=SLOW_PAUSE_S)


async def garbage(rude: Rude) -> None:
    """Some requests, and then what is none, all in one go."""
    rude.said += 1
    good = rude.target.head("GET", "/api/v0/clusters") * GOOD_PER_GARBAGE
    await rude.say(good + GARBAGE[rude.said % len(GARBAGE)])


async def large_body(rude: Rude) -> None:
    """Two mebibytes, the size said before or not."""
    rude.said += 1
    path, close = "/api/v0/cluster/large", "Connection: close"
    if (rude.number + rude.said) % 2:
        length = f"Content-Length: {len(LARGE_BODY)}"
        await rude.say(rude.target.head("PUT", path, length, close), LARGE_BODY)
        return
    head = rude.target.head("PUT", path, "Transfer-Encoding: chunked", close)
    chunk = b"%x\r\n" % CHUNK_BYTES + LARGE_BODY[:CHUNK_BYTES] + b"\r\n"
    await rude.say(head, *[chunk] * (len(LARGE_BODY) // CHUNK_BYTES), b"0\r\n\r\n")


async def bad_input(rude: Rude) -> None:
    """What is no JSON, no key, no name, or of the wrong type, one after the other."""
    await say_all(rude, everything_bad())


async def long_lists(rude: Rude) -> None:
    """A body of nearly a mebibyte, each address of which has to be looked at."""
    await say_all(rude, long_list_bodies())


async def malformed_credentials(rude: Rude) -> None:
    """`Authorization` that nobody could mean."""
    await say_all(rude, [said for said in credentials("hidden") if said.authorization])


@cache
def everything_bad() -> list[Said]:
    """But what an operator may not do anyhow."""
    with TemporaryDirectory() as directory:
        found = [*subjects(), *bodies(Path(directory))]
    return [said for said in found if not ADMINISTRATORS & set(said.path.split("/"))]


@cache
def long_list_bodies() -> list[Said]:
    """Members that nobody is, and newcomers whom nobody knows."""
    addresses = [address(9, number) for number in range(LISTED)]
    lists: list[dict[str, object]] = [
        {"old": addresses, "new": addresses[:1]},
        {"old": [], "new": addresses},
    ]
    return [Said({409}, "PUT", "/cluster/read/hosts", encoded(body)) for body in lists]


async def say_all(rude: Rude, requests: Sequence[Said]) -> None:
    """One after the other, again and again."""
    await converse(rude, lambda said: rude.target.request(requests[said % len(requests)]))


async def wrong_password(rude: Rude) -> None:
    """A user that there is, with another wrong password each time."""
    await log_in(rude, lambda said: f"operator:hidden-{rude.number}-{said}")


async def unknown_user(rude: Rude) -> None:
    """Another user each time, none of whom there is."""
    await log_in(rude, lambda said: f"nobody-{rude.number}-{said}:hidden")


async def log_in(rude: Rude, pair: Callable[[int], str]) -> None:
    """With other credentials each time."""

    def ask(said: int) -> bytes:
        wrong = "Basic " + base64.b64encode(pair(said).encode()).decode()
        return rude.target.head("GET", "/api/v0/hosts", authorization=wrong)

    await converse(rude, ask)


async def converse(rude: Rude, ask: Callable[[int], bytes]) -> None:
    """One request after the other, on one connection for a while."""
    reader, writer = await rude.connect()
    try:
        for _ in range(REQUESTS_PER_CONNECTION):
            rude.said += 1
            writer.write(ask(rude.said))
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            assert length is not None
            rude.tally.note(head + await reader.readexactly(int(length[1])))
    finally:
        writer.close()


Conversation = Callable[[Rude], Awaitable[None]]

KINDS: dict[str, Conversation] = {
    "idle": idle,
    "slow heads": slow_head,
    "slow bodies": slow_body,
    "unauthorized bodies": unauthorized_body,
    "garbage": garbage,
    "large bodies": large_body,
    "bad input": bad_input,
    "long lists": long_lists,
    "malformed credentials": malformed_credentials,
    "wrong passwords": wrong_password,
    "unknown users": unknown_user,
}
