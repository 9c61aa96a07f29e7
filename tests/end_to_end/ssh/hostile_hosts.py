"""Hosts that are silent, drip or flood, in each phase of SSH; a process of its own serves them.

Run with a number of addresses for each, it prints their ports. Before there are keys, plain
sockets play them; after that, asyncssh's own server with something in its way.
"""

import asyncio
import contextlib
import json
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import asyncssh

from tests.faults.fake_host import AnyKey
from tests.support.service import DIE_WITH_US

PAUSE_S = 0.05  # between two drips
QUEUED_BYTES_MAX = 1 << 18
BURST = 200
VERSION = b"SSH-2.0-OpenSSH_9.9\r\n"
KEXINIT, NEWKEYS = 20, 21

Act = Callable[[Any], Awaitable[None]]
"""What a host does in its phase, to a writer (before there are keys) or to a connection."""


def text(words: bytes) -> bytes:
    """A string as SSH has it."""
    return struct.pack(">I", len(words)) + words


def message(kind: int, body: bytes = b"") -> bytes:
    """A packet before there are keys (RFC 4253, 6)."""
    padding = 4 + -(5 + 1 + len(body) + 4) % 8
    return struct.pack(">IBB", 2 + len(body) + padding, padding, kind) + body + bytes(padding)


OFFER = [b"curve25519-sha256", b"ssh-ed25519", *[b"aes256-ctr"] * 2, *[b"hmac-sha2-256"] * 2]
OFFER += [b"none", b"none", b"", b""]
KEYS = message(KEXINIT, bytes(16) + b"".join(text(names) for names in OFFER) + bytes(5))


async def silence(_: Any) -> None:
    """Do nothing."""
    await asyncio.Event().wait()


def bytes_slowly(what: bytes) -> Act:
    """Over and over again, a byte at a time."""

    async def act(writer: asyncio.StreamWriter) -> None:
        for byte in cycle(what):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(PAUSE_S)

    return act


def bytes_without_end(what: bytes) -> Act:
    """As fast as they are taken."""
    block = what * (1 + QUEUED_BYTES_MAX // len(what))

    async def act(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(block)
            await writer.drain()

    return act


def slowly(kind: int, *body: bytes) -> Act:
    """A message at a time."""

    async def act(conn: Any) -> None:
        while not conn.is_closed():
            conn.send_packet(kind, *body)
            await asyncio.sleep(PAUSE_S)

    return act


def without_end(send: Callable[[Any], None]) -> Act:
    """As fast as it is taken."""

    async def act(conn: Any) -> None:
        while not conn.is_closed():
            transport = conn._transport
            for _ in range(BURST):
                if transport is not None and transport.get_write_buffer_size() < QUEUED_BYTES_MAX:
                    send(conn)
            await asyncio.sleep(0.001)

    return act


def messages(kind: int, *body: bytes) -> Act:
    """As fast as they are taken."""
    return without_end(lambda conn: conn.send_packet(kind, *body))


def on_channel(kind: int, *body: bytes) -> Act:
    """The same, for our channel 0."""
    return messages(kind, struct.pack(">I", 0), *body)


async def keys_without_end(conn: Any) -> None:
    """As soon as keys are agreed on, ask for others."""
    while not conn.is_closed():
        if conn._kex is None and not conn._kexinit_sent:
            conn._send_kexinit()
            conn._kexinit_sent = True
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Row:
    """A host that means ill. `phase` is where it begins to, `words` are of the reason."""

    phase: str
    act: Act
    words: str

    @property
    def is_quiet(self) -> bool:
        """Whether only our own limits of time end it."""
        return "within" in self.words

    def is_told_by(self, reason: str) -> bool:
        """Whether a reason names what it does."""
        # 300 exchanges of keys may take longer than a command may.
        out_of_time = self.act is keys_without_end and NO_END in reason
        return self.words in reason or out_of_time


NO_LOGIN = "the login was not done within"
NO_END = "did not finish what we ran there within"
NO_SSH = "is not SSH"
IGNORE, NOTHING, SOMETHING = 2, text(b""), text(b"x")
REQUEST, STDERR = text(b"no-such@example") + b"\1", b"\0\0\0\1"

ROWS = {
    "says nothing": Row("connection", silence, NO_LOGIN),
    "a line slowly": Row("connection", bytes_slowly(b"x"), NO_LOGIN),
    "its version slowly": Row("connection", bytes_slowly(VERSION[:9] + b"x" * 200), NO_LOGIN),
    "lines": Row("connection", bytes_without_end(b"x\n"), NO_SSH),
    "empty lines": Row("connection", bytes_without_end(b"\r\n"), NO_SSH),
    "a line without end": Row("connection", bytes_without_end(b"x"), NO_SSH),
    "a version without end": Row("connection", bytes_without_end(b"SSH-2.0-"), NO_SSH),
    "nothing after its version": Row("version", silence, NO_LOGIN),
    "a packet slowly": Row("version", bytes_slowly(b"\0\0\x7f\xff"), NO_LOGIN),
    "ignored, before keys": Row(
        "version", bytes_without_end(message(IGNORE, NOTHING)), "SSH_MSG_IGNORE"
    ),
    "remarks, before keys": Row(
        "version", bytes_without_end(message(4, b"\0" + 2 * NOTHING)), "SSH_MSG_DEBUG"
    ),
    "long, before keys": Row(
        "version", bytes_without_end(message(IGNORE, text(bytes(30_000)))), "262144 bytes"
    ),
    "nothing while keys are agreed on": Row("offer", silence, NO_LOGIN),
    "slowly while keys are agreed on": Row(
        "offer", bytes_slowly(message(IGNORE, NOTHING)), NO_LOGIN
    ),
    "ignored, while keys are agreed on": Row(
        "offer", bytes_without_end(message(IGNORE, NOTHING)), "SSH_MSG_IGNORE"
    ),
    "nothing with keys": Row("keys", silence, NO_LOGIN),
    "slowly with keys": Row("keys", slowly(IGNORE, SOMETHING), NO_LOGIN),
    "ignored, with keys": Row("keys", messages(IGNORE, SOMETHING), "SSH_MSG_IGNORE"),
    "extensions": Row("keys", messages(7, bytes(4)), "SSH_MSG_EXT_INFO"),
    "no answer to our key": Row("auth", silence, NO_LOGIN),
    "banners slowly": Row("auth", slowly(53, SOMETHING, NOTHING), NO_LOGIN),
    "banners": Row("auth", messages(53, SOMETHING, NOTHING), "SSH_MSG_USERAUTH_BANNER"),
    "long banners": Row("auth", messages(53, text(b"x" * 30_000), NOTHING), "262144 bytes"),
    "ignored, during the login": Row("auth", messages(IGNORE, SOMETHING), "SSH_MSG_IGNORE"),
    "no session": Row("login", silence, NO_END),
    "slowly before a session": Row("login", slowly(IGNORE, SOMETHING), NO_END),
    "ignored, before a session": Row("login", messages(IGNORE, SOMETHING), "SSH_MSG_IGNORE"),
    "requests before a session": Row(
        "login", messages(80, text(b"keepalive@openssh.com"), b"\1"), "SSH_MSG_GLOBAL_REQUEST"
    ),
    "channels of its own": Row(
        "login",
        messages(90, text(b"session"), struct.pack(">III", 0, 1 << 20, 1 << 15)),
        "SSH_MSG_CHANNEL_OPEN",
    ),
    "no output": Row("session", silence, NO_END),
    "slowly without output": Row("session", slowly(IGNORE, SOMETHING), NO_END),
    "output slowly": Row("session", slowly(94, bytes(4), text(b"x")), NO_END),
    "ignored": Row("session", messages(IGNORE, SOMETHING), "SSH_MSG_IGNORE"),
    "ignored, long": Row("session", messages(IGNORE, text(bytes(30_000))), "SSH_MSG_IGNORE"),
    "remarks": Row("session", messages(4, b"\1" + 2 * NOTHING), "SSH_MSG_DEBUG"),
    "not implemented": Row("session", messages(3, bytes(4)), "SSH_MSG_UNIMPLEMENTED"),
    "of no known type": Row("session", messages(192), "of type 192"),
    "requests": Row("session", messages(80, REQUEST), "SSH_MSG_GLOBAL_REQUEST"),
    "new keys": Row("session", keys_without_end, "SSH messages (most of them"),
    "windows": Row("session", on_channel(93, bytes(4)), "SSH_MSG_CHANNEL_WINDOW_ADJUST"),
    "requests on a channel": Row("session", on_channel(98, REQUEST), "SSH_MSG_CHANNEL_REQUEST"),
    "empty output": Row("session", on_channel(94, NOTHING), "empty SSH_MSG_CHANNEL_DATA"),
    "output": Row("session", on_channel(94, text(bytes(30_000))), "bytes of output"),
    "output, a byte each": Row("session", on_channel(94, SOMETHING), NO_END),
    "errors": Row("session", on_channel(95, STDERR, text(bytes(30_000))), "bytes of output"),
    "errors, a byte each": Row("session", on_channel(95, STDERR, SOMETHING), NO_END),
}  # fmt: skip


INSTEAD_OF = {"keys": 6, "auth": 51, "login": 91, "session": 99}
"""The message in whose place a host begins: service accepted, key wanted, channel opened. The
last, that the command runs, is sent all the same."""


class Hostile(AnyKey):
    """Everything as it should be until its phase comes."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._acting: asyncio.Task[None] | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Have an eye on what is sent."""
        send = conn.send_packet

        def send_packet(kind: int, *body: bytes, handler: Any = None) -> None:
            if kind == IGNORE and body == (NOTHING,):
                return  # asyncssh's own, before each of the others
            begins = kind == INSTEAD_OF[self._row.phase]
            if not begins or self._row.phase == "session":
                send(kind, *body, handler=handler)
            if begins and self._acting is None:
                self._acting = asyncio.ensure_future(self._row.act(conn))
                if self._row.act is not keys_without_end:  # answers that it does not expect
                    conn.data_received = lambda *_: None  # type: ignore[method-assign]

        # asyncssh makes its connections itself.
        conn.send_packet = send_packet  # type: ignore[method-assign, assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """They have enough."""
        if self._acting is not None:
            self._acting.cancel()


async def play(row: Row, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A visit to a host whose phase comes before there are keys."""
    with contextlib.suppress(OSError):
        if row.phase != "connection":
            writer.write(VERSION)
        if row.phase == "offer":
            writer.write(KEYS)
            await reader.readuntil(b"curve25519")
        acting = asyncio.ensure_future(row.act(writer))
        while await reader.read(1 << 16):
            pass
        acting.cancel()
    writer.transport.abort()


async def listen(row: Row, address: str, key: asyncssh.SSHKey) -> int:
    """Play it there; gives the port."""
    if row.phase not in INSTEAD_OF:
        server = await asyncio.start_server(partial(play, row), address, 0)
        return int(server.sockets[0].getsockname()[1])
    listener = await asyncssh.listen(
        address,
        0,
        server_factory=partial(Hostile, row),
        server_host_keys=[key],
        process_factory=silence,
        encoding=None,
    )
    return listener.get_port()


async def serve(copies: int, names: list[str]) -> None:
    """For ever; prints a list of address and port for each of these rows."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    ports = {
        name: [
            (address, await listen(row, address, key))
            for address in (f"127.{10 + copies}.{number}.{copy + 1}" for copy in range(copies))
        ]
        for number, (name, row) in enumerate(ROWS.items())
        if name in names
    }
    print(json.dumps(ports), flush=True)
    await silence(None)


@contextmanager
def hostile_hosts(copies: int = 1, *names: str) -> Iterator[dict[str, list[tuple[str, int]]]]:
    """Addresses and ports of so many hosts of these rows, or of all; they end with the block."""
    command = [*DIE_WITH_US, sys.executable, "-m", __name__, str(copies), *(names or ROWS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2:]))
