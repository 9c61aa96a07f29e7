"""Hosts that fail, and clients with short limits."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from runners.hosts.facts import gather
from runners.security.private_keys import PrivateKey, read_private_key
from runners.ssh.client import Limits, Ssh, SshFailure, Target
from tests.fleet import Fleet, Host
from tests.support.plain_sshd import new_key

KEY = new_key()
QUICK = Limits(connect_s=0.5, login_s=0.5)
"""Where a login is in vain."""
PATIENT = Limits(output_bytes=100_000)
BRIEF = Limits(command_s=0.5)
"""Where a login must work, however busy the machine is, and a command is in vain."""
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def ssh() -> Ssh:
    return Ssh(per_host_interval_s=0, limits=PATIENT)


@pytest.fixture
def quick() -> Ssh:
    return Ssh(per_host_interval_s=0, limits=QUICK)


@pytest.fixture
def brief() -> Ssh:
    return Ssh(per_host_interval_s=0, limits=BRIEF)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def target(host: Host) -> Target:
    return Target(host.address, host.port, host.user, read_private_key(host.private_key))


def at(port: int, key: PrivateKey = KEY) -> Target:
    return Target("127.0.0.1", port, getpass.getuser(), key)


async def failure_of(ssh: Ssh, target: Target, script: str | None = ":") -> SshFailure:
    """How a visit fails; the script is that of the facts where there is none."""
    with pytest.raises(SshFailure) as failed:
        async with ssh.connect(target) as session:
            await (gather(session) if script is None else session.run(script))
    sentence = failed.value.sentence
    assert sentence.isprintable()
    assert len(sentence) < 500
    assert sentence.endswith((".", "?"))
    return failed.value


@asynccontextmanager
async def service(talk: Talk):  # type: ignore[no-untyped-def]
    """A port on which something else than sshd talks."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await talk(reader, writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def says(*pieces: bytes, then_waits: bool = False) -> Talk:
    """Sends the first piece at once, each other when something has come."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, piece in enumerate(pieces):
            if number:
                await reader.read(1000)
            writer.write(piece)
        while then_waits and await reader.read(1000):
            pass

    return talk


async def drips(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A line now and then, for ever: as a tar pit does."""
    while True:
        writer.write(b"x\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)
