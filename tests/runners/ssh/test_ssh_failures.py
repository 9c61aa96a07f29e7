"""What goes wrong on the way to a host: each has its kind, its sentence, and its chances."""

import asyncio
import getpass
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runners.hosts.facts import gather
from runners.security.private_keys import PrivateKey, read_private_key
from runners.ssh.client import CLOSE_TIMEOUT_S, Limits, Ssh, SshFailure, Target
from runners.ssh.retry import Retries, retrying
from tests.fleet import Fleet, Host
from tests.support.plain_sshd import new_key, plain_sshd

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


# -- no connection ------------------------------------------------------------------------------


async def test_a_refused_connection_may_pass(ssh: Ssh) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        failure = await failure_of(ssh, at(port))
    assert (failure.kind, failure.passing) == ("refused", True)
    assert failure.sentence == (
        f"127.0.0.1 refused the connection on port {port}: is sshd running there?"
    )


async def test_a_host_that_answers_nothing_is_a_timeout(quick: Ssh) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        failure = await failure_of(quick, at(full.getsockname()[1]))
        for filler in fillers:
            filler.close()
    assert (failure.kind, failure.passing) == ("timeout", True)
    assert "within 0.5 s" in failure.sentence


async def test_a_network_without_a_way_is_unreachable(ssh: Ssh) -> None:
    failure = await failure_of(ssh, replace(at(22), address="255.255.255.255"))
    assert (failure.kind, failure.passing) == ("unreachable", True)
    assert "255.255.255.255" in failure.sentence


@pytest.mark.parametrize("again", [False, True])
async def test_a_name_that_is_not_found_is_said_so(
    ssh: Ssh, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN if again else socket.EAI_NONAME, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    failure = await failure_of(ssh, replace(at(22), address="db.example"))
    assert (failure.kind, failure.passing) == ("name", again)
    assert "db.example" in failure.sentence


# -- no login -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("talk", "kind", "passing"),
    [
        (says(), "dropped", True),
        (says(b"Exceeded MaxStartups\r\n"), "dropped", True),
        (says(b"SSH-2.0-OpenSSH_9.9\r\n"), "dropped", True),
        (says(then_waits=True), "timeout", True),
        (says(b"SSH-2.0-OpenSSH_9.9\r\n", then_waits=True), "timeout", True),
        (says(b"", b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\nno"), "not_ssh", False),
        (says(b"220 mx ESMTP\r\n", b"500 what?\r\n", then_waits=True), "not_ssh", False),
        (says(os.urandom(100_000).replace(b"\n", b"")), "not_ssh", False),
        (says(b"x\n" * 5000), "not_ssh", False),
        (drips, "not_ssh", False),
        (says(b"SSH-1.5-old\r\n"), "protocol", False),
        (says(b"SSH-2.0-\xff\xfe\r\n", then_waits=True), "protocol", False),
        (says(b"SSH-2.0-x\r\n", b"\0\0\0\x0c\x04" + b"z" * 900), "protocol", False),
        (says(b"SSH-2.0-x\r\n", b"\xff" * 900), "protocol", False),
    ],
    ids=[
        "closes",
        "says that it is full",
        "closes after its version",
        "says nothing",
        "says its version only",
        "http",
        "smtp",
        "bytes",
        "lines",
        "lines without haste",
        "ssh 1",
        "a version in no letters",
        "nonsense",
        "a packet without end",
    ],
)
async def test_what_is_no_ssh_server_is_told_from_one_that_is_busy(
    quick: Ssh, talk: Talk, kind: str, passing: bool
) -> None:
    async with service(talk) as port:
        failure = await failure_of(quick, at(port))
    assert (failure.kind, failure.passing) == (kind, passing)
    assert "127.0.0.1" in failure.sentence


async def test_a_key_that_the_host_does_not_know_is_not_tried_again(
    tmp_path: Path, ssh: Ssh
) -> None:
    for directory, lines in ((tmp_path / "a", ()), (tmp_path / "b", ("MaxAuthTries 1",))):
        directory.mkdir()
        with plain_sshd(directory, *lines) as sshd:
            failure = await failure_of(ssh, replace(sshd.target, key=KEY))
        assert (failure.kind, failure.passing) == ("authentication", False)
        assert sshd.target.user in failure.sentence


async def test_where_the_user_may_not_log_in_at_all_the_reason_says_so(
    tmp_path: Path, ssh: Ssh
) -> None:
    with plain_sshd(tmp_path, "DenyUsers *") as sshd:
        failure = await failure_of(ssh, sshd.target)
    assert failure.kind == "authentication"
    assert "PermitRootLogin" in failure.sentence


async def test_an_unknown_user_is_an_authentication_failure(tmp_path: Path, ssh: Ssh) -> None:
    with plain_sshd(tmp_path) as sshd:
        failure = await failure_of(ssh, replace(sshd.target, user="nobody-we-know"))
    assert (failure.kind, failure.passing) == ("authentication", False)
    assert "nobody-we-know" in failure.sentence


async def test_passwords_are_never_tried(tmp_path: Path, ssh: Ssh) -> None:
    with plain_sshd(tmp_path, "PubkeyAuthentication no", "LogLevel DEBUG3") as sshd:
        failure = await failure_of(ssh, sshd.target)
    assert failure.kind == "authentication"
    assert "method password" not in sshd.log.read_text()
    assert "method keyboard-interactive" not in sshd.log.read_text()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("Ciphers 3des-cbc", "3des-cbc"),
        ("KexAlgorithms diffie-hellman-group1-sha1", "diffie-hellman-group1-sha1"),
        # OpenSSL looks for seconds whether the host's group is one, and holds the event loop.
        ("KexAlgorithms diffie-hellman-group-exchange-sha256", "group-exchange-sha256"),
        ("HostKeyAlgorithms ssh-rsa", "ssh-rsa"),  # RSA with SHA-1
    ],
)
async def test_a_host_that_shares_no_algorithm_with_us_is_told_what_it_has(
    tmp_path: Path, ssh: Ssh, line: str, named: str
) -> None:
    async def visit() -> None:
        async with ssh.connect(sshd.target):
            pass

    rsa = new_key("ssh-rsa")
    # Now and then sshd is gone before its offer can be read, which counts as passing.
    with (
        plain_sshd(tmp_path, line, host_keys=(rsa,)) as sshd,
        pytest.raises(SshFailure) as failed,
    ):
        await retrying(visit, Retries(20, 0.01, 0.01))
    assert (failed.value.kind, failed.value.passing) == ("protocol", False)
    assert named in failed.value.sentence


# -- no answer ----------------------------------------------------------------------------------


async def test_a_command_that_does_not_end_is_a_timeout(tmp_path: Path, brief: Ssh) -> None:
    with plain_sshd(tmp_path) as sshd:
        failure = await failure_of(brief, sshd.target, "sleep 60")
    assert (failure.kind, failure.passing) == ("timeout", True)


@pytest.mark.parametrize("to", ["", ">&2"])
async def test_output_without_end_is_cut_off(tmp_path: Path, ssh: Ssh, to: str) -> None:
    with plain_sshd(tmp_path) as sshd:
        failure = await failure_of(ssh, sshd.target, f"exec cat /dev/zero {to}")
    assert (failure.kind, failure.passing) == ("output", False)
    assert "100000 bytes" in failure.sentence


async def test_an_account_without_a_shell_is_said_so(tmp_path: Path, ssh: Ssh) -> None:
    said = "echo 'This account is currently not available.'; printf '\\033[31m'; exit 1"
    with plain_sshd(tmp_path, f"ForceCommand {said}") as sshd:
        failure = await failure_of(ssh, sshd.target, None)
    assert (failure.kind, failure.passing) == ("command", False)
    assert "This account is currently not available" in failure.sentence


async def test_a_host_that_opens_no_sessions_is_said_so(tmp_path: Path, ssh: Ssh) -> None:
    with plain_sshd(tmp_path, "MaxSessions 0") as sshd:
        failure = await failure_of(ssh, sshd.target)
    assert (failure.kind, failure.passing) == ("command", False)


async def visit_cut_after(byte_count: int, host: Host, ssh: Ssh) -> str:
    """The kind of failure of a look whose connection is cut there; "" where it had ended."""
    host.cut_after(byte_count)
    try:
        async with ssh.connect(target(host)) as session:
            await gather(session)
    except SshFailure as failure:
        return f"{failure.kind} {'passing' if failure.passing else 'for good'}"
    return ""


async def test_a_connection_that_is_cut_anywhere_may_pass(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    ssh = Ssh(per_host_interval_s=0)
    kinds = [await visit_cut_after(length, host, ssh) for length in range(100, 4000, 200)]
    assert set(kinds) == {"dropped passing", ""}
    assert kinds.index("") > 10  # after the login, which takes less than 2,000 bytes
    fleet.remove(host)


async def test_a_host_that_freezes_during_a_command_is_a_timeout(fleet: Fleet, ssh: Ssh) -> None:
    host = fleet.add("fedora")
    async with ssh.connect(target(host)) as session:
        await session.run(":")
        host.freeze()
        with pytest.raises(SshFailure) as failed:
            await session.run(":", timeout_s=0.5)
    assert failed.value.kind == "timeout"
    host.thaw()
    fleet.remove(host)


async def test_a_host_that_freezes_does_not_hold_up_the_end_of_a_session(
    fleet: Fleet, ssh: Ssh
) -> None:
    host = fleet.add("fedora")
    async with ssh.connect(target(host)) as session:
        await session.run(":")
        host.freeze()
        began = time.monotonic()
    assert time.monotonic() - began < CLOSE_TIMEOUT_S
    host.thaw()
    fleet.remove(host)


async def test_a_session_is_over_after_a_failure(tmp_path: Path, brief: Ssh) -> None:
    with plain_sshd(tmp_path) as sshd:
        async with brief.connect(sshd.target) as session:
            with pytest.raises(SshFailure):
                await session.run("sleep 60")
            with pytest.raises(SshFailure) as failed:
                await session.run(":")
    assert failed.value.kind == "dropped"


# -- trying again -------------------------------------------------------------------------------


async def test_dropped_banners_pass_when_tried_again(fleet: Fleet, ssh: Ssh) -> None:
    host = fleet.add("fedora")
    host.drop_banner(2)

    async def look() -> str:
        async with ssh.connect(target(host)) as session:
            return (await gather(session)).os

    assert await retrying(look, Retries(3, 0.01, 0.01)) == "fedora"
    fleet.remove(host)


async def test_an_sshd_that_limits_start_ups_lets_all_in_at_last(fleet: Fleet) -> None:
    host = fleet.add("fedora")
    host.startup_limit(2)
    ssh = Ssh(parallel=20, per_host_interval_s=0)
    failures: list[str] = []

    async def visit() -> bytes:
        try:
            async with ssh.connect(target(host)) as session:
                return (await session.run("echo in")).stdout
        except SshFailure as failure:
            failures.append(failure.kind)
            raise

    retries = Retries(50, 0.1, 0.5)
    said = await asyncio.gather(*(retrying(visit, retries) for _ in range(20)))
    assert said == [b"in\n"] * 20
    assert set(failures) == {"dropped"}
    fleet.remove(host)


async def test_a_host_that_became_another_system_tells_the_new_one(fleet: Fleet, ssh: Ssh) -> None:
    host = fleet.add("fedora")
    async with ssh.connect(target(host)) as session:
        before = await gather(session)
    host.change_system("atomic")
    async with ssh.connect(target(host)) as session:
        assert (before.os, (await gather(session)).os) == ("fedora", "atomic")
    fleet.remove(host)
