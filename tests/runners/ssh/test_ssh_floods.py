"""Hosts that send without end are hung up on, say so, and hold up nobody meanwhile."""

import asyncio
import contextlib
import inspect
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncssh
import pytest

from runners.ssh.bounded_connection import Wire
from runners.ssh.client import Limits, Ssh, SshFailure, Target
from tests.support.plain_sshd import new_key
from tests.support.service import waited_for_cpu_s

KEY = new_key()
LIMITS = Limits(login_s=5)
LOOP_HELD_S_MAX = 0.2
TICK_S = 0.005
VERSION = b"SSH-2.0-OpenSSH_9.9\r\n"
BLOCK_BYTES = 1 << 20


def message(kind: int, body: bytes = b"") -> bytes:
    """A packet before there are keys (RFC 4253, 6)."""
    padding = 4 + -(5 + 1 + len(body) + 4) % 8
    return struct.pack(">IBB", 2 + len(body) + padding, padding, kind) + body + bytes(padding)


def text(words: bytes) -> bytes:
    """A string as SSH has it."""
    return struct.pack(">I", len(words)) + words


@contextmanager
def flooding(first: bytes, again: bytes) -> Iterator[int]:
    """The port of a host that sends something once, and something else as long as it is taken."""
    block = again * max(1, BLOCK_BYTES // len(again))

    def flood(visitor: socket.socket) -> None:
        with visitor, contextlib.suppress(OSError):
            visitor.sendall(first)
            while True:
                visitor.sendall(block)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = listener.accept()
                threading.Thread(target=flood, args=(visitor,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def loop_that_goes_on() -> AsyncIterator[None]:
    """In this block, nothing holds the event loop for longer than LOOP_HELD_S_MAX."""
    loop = asyncio.get_running_loop()
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            began = loop.time() - waited_for_cpu_s()
            await asyncio.sleep(TICK_S)
            longest = max(longest, loop.time() - waited_for_cpu_s() - began)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()
    assert longest < LOOP_HELD_S_MAX


BEFORE_KEYS = {
    "ignored": (message(2, text(b"")), "SSH_MSG_IGNORE"),
    "ignored, long": (message(2, text(bytes(20_000))), "262144 bytes"),
    "not implemented": (message(3, bytes(4)), "SSH_MSG_UNIMPLEMENTED"),
    "remarks": (message(4, b"\1" + text(b"x") + text(b"")), "SSH_MSG_DEBUG"),
    "of no known type": (message(19), "of type 19"),
}


@pytest.mark.parametrize(("packet", "named"), BEFORE_KEYS.values(), ids=BEFORE_KEYS)
async def test_messages_without_end_before_the_login_end_it_and_are_named(
    packet: bytes, named: str
) -> None:
    with flooding(VERSION, packet) as port:
        async with loop_that_goes_on():
            with pytest.raises(SshFailure) as failed:
                async with Ssh(limits=LIMITS).connect(Target("127.0.0.1", port, "root", KEY)):
                    pass
    assert (failed.value.kind, failed.value.passing) == ("flood", False)
    assert named in failed.value.sentence
    assert f"on port {port} before the login was done" in failed.value.sentence


async def test_asyncssh_is_still_what_the_wire_takes_it_for() -> None:
    loop = asyncio.get_running_loop()
    options = asyncssh.SSHClientConnectionOptions(config=None, known_hosts=None, agent_path=None)
    theirs = asyncssh.SSHClientConnection(loop, options, wait=None)
    ours = Wire(loop, options, wait=None)
    finish: Callable[..., None] = theirs._finish_recv_packet
    assert str(inspect.signature(finish)).startswith("(pkttype: int, seq: int, _task: ")
    assert [*inspect.signature(finish).parameters][2:] == ["_task", "is_async"]
    # What ssh_login.py looks at after a failure.
    assert theirs._banner_lines == 0
    assert theirs.get_hash_prefix() == b"".join(text(b"") for _ in range(4))
    own = {"_tcp", "_unread", "_bytes_left", "_messages_max", "_messages_left", "_seen"}
    own |= {"flood", "is_half_in", "is_at_rest", "when_lost"}
    assert vars(ours).keys() - vars(theirs).keys() == own
    for wire in (theirs, ours):
        wire.abort()
