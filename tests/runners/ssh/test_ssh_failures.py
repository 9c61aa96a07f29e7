"""What goes wrong on the way to a host: each has its kind, its sentence, and its chances."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from runners.ssh.client import Ssh, SshFailure
from runners.ssh.retry import Retries, retrying
from tests.runners.ssh.failing_hosts import (
    KEY,
    Talk,
    at,
    brief,
    drips,
    failure_of,
    fleet,
    quick,
    says,
    service,
    ssh,
)
from tests.support.plain_sshd import new_key, plain_sshd

__all__ = ["brief", "fleet", "quick", "ssh"]


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
