"""Servers that know SSH and mean ill: each is given up in time, and takes nothing with it."""

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from runners.hosts.facts import gather
from runners.ssh.client import Limits, Ssh, SshFailure, Target
from tests.faults.fake_host import AnyKey
from tests.support.plain_sshd import new_key, plain_sshd

KEY = new_key()
QUICK = Limits(login_s=3, command_s=1, output_bytes=100_000)
FLOODED = replace(QUICK, login_s=20, command_s=20)
"""A flood comes to its limit as fast as there is a CPU for both sides of it."""

SLACK_S = 2.0
RESIDENT_KB_MAX = 32 * 1024
CHUNK = b"x" * 30_000
MSG_IGNORE = 2
QUEUED_BYTES_MAX = 1 << 20

Serve = Callable[["asyncssh.SSHServerProcess[bytes]"], Awaitable[None]]


async def for_ever(*_: object) -> None:
    """Do nothing."""
    await asyncio.Event().wait()


class Flooding(AnyKey):
    """Sends what nobody asked for, as fast as it is taken."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.conn = conn

    async def flood(self, send: Callable[[], None]) -> None:
        """Until the client has enough."""
        transport = self.conn._transport
        while not self.conn.is_closed() and transport is not None:
            if transport.get_write_buffer_size() < QUEUED_BYTES_MAX:
                send()
            await asyncio.sleep(0)


class FloodingLogin(Flooding):
    """With banners, before it asks for a key."""

    # asyncssh takes both kinds.
    async def begin_auth(self, username: str) -> bool:  # type: ignore[override]
        await self.flood(lambda: self.conn.send_auth_banner("x" * len(CHUNK)))
        return True


class FloodingSession(Flooding):
    """With packets that are to be ignored."""

    def auth_completed(self) -> None:
        packet = asyncssh.packet.String(CHUNK)
        self.task = asyncio.create_task(
            self.flood(lambda: self.conn.send_packet(MSG_IGNORE, packet))
        )


class Closing(Flooding):
    """Lets everybody in and hangs up."""

    def auth_completed(self) -> None:
        self.conn.abort()


class NoChannel(AnyKey):
    """Never says whether a session may begin."""

    async def session_requested(self) -> bool:
        await for_ever()
        return False


class AnotherKeyLater(Flooding):
    """Shows a second host key once we are in."""

    def auth_completed(self) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        pair = asyncssh.load_keypairs([key])[0]
        self.conn._server_host_keys[b"ssh-ed25519"] = pair
        self.conn._send_kexinit()


async def drips(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """Output without end, slowly, after the command has ended."""
    process.channel._send_request(b"exit-status", asyncssh.packet.UInt32(0))
    while True:
        process.stdout.write(b"x")
        await asyncio.sleep(0.05)


async def leaves_out_the_exit(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    process.stdout.write(b"x\n")
    process.stdout.write_eof()
    await for_ever()


@asynccontextmanager
async def server(factory: Callable[[], asyncssh.SSHServer], serve: Serve) -> AsyncIterator[Target]:
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=factory,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=serve,
        encoding=None,
    )
    ours = asyncio.all_tasks()
    try:
        yield Target("127.0.0.1", listener.get_port(), "root", KEY)
    finally:
        listener.close()
        await listener.wait_closed()
        for task in asyncio.all_tasks() - ours:
            task.cancel()


ILL = {
    "closes after the login": (Closing, for_ever, "dropped"),
    "floods the login": (FloodingLogin, for_ever, "flood"),
    "floods the session": (FloodingSession, for_ever, "flood"),
    "opens no channel": (NoChannel, for_ever, "timeout"),
    "answers no command": (AnyKey, for_ever, "timeout"),
    "never tells the exit": (AnyKey, leaves_out_the_exit, "timeout"),
    "goes on after the exit": (AnyKey, drips, "timeout"),
    "shows another host key later": (AnotherKeyLater, for_ever, "host_key"),
}


@pytest.mark.parametrize(("factory", "serve", "kind"), ILL.values(), ids=ILL)
async def test_a_server_that_means_ill_is_given_up_in_time(
    factory: Callable[[], asyncssh.SSHServer], serve: Serve, kind: str
) -> None:
    limits = FLOODED if kind == "flood" else QUICK
    ssh = Ssh(per_host_interval_s=0, limits=limits)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with server(factory, serve) as target:
        began = time.monotonic()
        with pytest.raises(SshFailure) as failed:
            async with ssh.connect(target) as session:
                await gather(session)
        assert time.monotonic() - began < limits.login_s + limits.command_s + SLACK_S
    assert failed.value.kind == kind, failed.value.sentence
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < RESIDENT_KB_MAX


async def test_keys_that_are_exchanged_anew_all_the_time_do_no_harm(tmp_path: Path) -> None:
    with plain_sshd(tmp_path, "RekeyLimit 16", "LogLevel DEBUG1") as sshd:
        async with Ssh().connect(sshd.target) as session:
            output = await session.run("head -c 1000000 /dev/zero")
            assert output.stdout == bytes(1_000_000)
            assert (await gather(session)).boot_id
        assert sshd.log.read_text().count("SSH2_MSG_NEWKEYS received") > 10


async def test_files_that_we_may_not_open_are_not_the_host_s_fault() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(SshFailure) as failed:
            async with Ssh().connect(Target("127.0.0.1", 22, "root", KEY)):
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (failed.value.kind, failed.value.passing) == ("ours", True)
    assert "Too many open files" in failed.value.sentence
