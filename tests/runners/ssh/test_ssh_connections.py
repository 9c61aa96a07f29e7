"""Connections: how many, how far apart, by which key, and what is left of them."""

import asyncio
import gc
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from runners.ssh.client import HostKey, HostKeyMismatch, Limits, Ssh, SshFailure, Target
from runners.ssh.retry import Retries, retrying
from tests.fleet import Fleet
from tests.runners.ssh.fleet_login import fleet, run, ssh, target
from tests.support.plain_sshd import new_key, plain_sshd

__all__ = ["fleet", "ssh"]


async def test_the_first_key_is_reported_and_then_insisted_on(fleet: Fleet, ssh: Ssh) -> None:
    host = fleet.add("fedora")
    async with ssh.connect(target(host)) as session:
        pinned = session.host_key
    assert pinned == HostKey("ssh-ed25519", host.host_key_fingerprint)
    assert await run(ssh, target(host, pinned), "echo in") == b"in\n"
    host.change_host_key()
    with pytest.raises(HostKeyMismatch) as refused:
        await run(ssh, target(host, pinned), "echo in")
    assert refused.value.pinned == pinned
    assert refused.value.offered == HostKey("ssh-ed25519", host.host_key_fingerprint)
    assert pinned.fingerprint in refused.value.sentence
    assert host.host_key_fingerprint in refused.value.sentence
    assert not refused.value.passing
    fleet.remove(host)


async def test_nothing_is_sent_to_a_host_with_another_key(tmp_path: Path, ssh: Ssh) -> None:
    with plain_sshd(tmp_path, "LogLevel DEBUG3") as sshd:
        pinned = HostKey("ssh-ed25519", new_key().fingerprint)
        with pytest.raises(HostKeyMismatch):
            await run(ssh, replace(sshd.target, pinned=pinned), "echo in")
    assert "userauth-request" not in sshd.log.read_text()
    assert sshd.target.user not in sshd.log.read_text()


@pytest.mark.parametrize(
    "algorithm",
    ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"],
)
async def test_of_several_host_keys_the_pinned_kind_is_asked_for(
    tmp_path: Path, ssh: Ssh, algorithm: str
) -> None:
    wanted = new_key(algorithm)
    others = [new_key(other) for other in ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256")]
    keys = (wanted, *(key for key in others if key.algorithm != algorithm))
    with plain_sshd(tmp_path, host_keys=keys) as sshd:
        pinned = HostKey(algorithm, wanted.fingerprint)
        assert await run(ssh, replace(sshd.target, pinned=pinned), "echo in") == b"in\n"
        gone = HostKey(algorithm, new_key(algorithm).fingerprint)
        with pytest.raises(HostKeyMismatch) as refused:
            await run(ssh, replace(sshd.target, pinned=gone), "echo in")
        assert refused.value.offered == pinned


async def test_a_key_approved_by_its_fingerprint_alone_is_found_among_the_host_s(
    tmp_path: Path, ssh: Ssh
) -> None:
    keys = (new_key("ssh-ed25519"), new_key("ecdsa-sha2-nistp256"), new_key("ssh-rsa"))
    with plain_sshd(tmp_path, host_keys=keys) as sshd:
        for key in keys:
            approved = HostKey("", key.fingerprint)
            async with ssh.connect(replace(sshd.target, pinned=approved)) as session:
                assert session.host_key == HostKey(key.algorithm, key.fingerprint)
        other = replace(sshd.target, pinned=HostKey("", "SHA256:other"))
        # Where sshd closes before it has said which keys it has, that counts as passing.
        with pytest.raises(HostKeyMismatch) as refused:
            await retrying(lambda: run(ssh, other, ":"), Retries(20, 0.01, 0.01))
        assert refused.value.offered == HostKey("ssh-ed25519", keys[0].fingerprint)


async def test_trust_is_asked_before_our_key_is_offered(tmp_path: Path, ssh: Ssh) -> None:
    asked: list[HostKey] = []

    async def refuse(key: HostKey) -> None:
        await asyncio.sleep(0)
        asked.append(key)
        raise LookupError("abandoned")

    host_key = new_key()
    with plain_sshd(tmp_path, "LogLevel DEBUG3", host_keys=(host_key,)) as sshd:
        with pytest.raises(LookupError, match="abandoned"):
            async with ssh.connect(sshd.target, refuse):
                pass
        assert asked == [HostKey("ssh-ed25519", host_key.fingerprint)]
        assert "method publickey" not in sshd.log.read_text()

        async def accept(key: HostKey) -> None:
            asked.append(key)

        async with ssh.connect(sshd.target, accept) as session:
            assert (await session.run("echo in")).stdout == b"in\n"
        assert "method publickey" in sshd.log.read_text()
        pinned = replace(sshd.target, pinned=asked[0])
        async with ssh.connect(pinned, refuse):
            pass
        assert len(asked) == 2


@pytest.mark.parametrize(
    "algorithm",
    ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"],
)
async def test_keys_of_every_kind_log_in(tmp_path: Path, ssh: Ssh, algorithm: str) -> None:
    with plain_sshd(tmp_path, key=new_key(algorithm)) as sshd:
        assert await run(ssh, sshd.target, "echo in") == b"in\n"


async def test_hosts_are_reached_over_ipv6(fleet: Fleet, ssh: Ssh) -> None:
    host = fleet.add("fedora", address="::1")
    assert await run(ssh, target(host), "echo in") == b"in\n"
    fleet.remove(host)


async def test_of_a_name_s_addresses_one_that_answers_is_enough(
    tmp_path: Path, ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[object] = []

    def addresses(*question: object, **_: object) -> list[tuple[object, ...]]:
        looked_up.append(question[0])
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", sshd.port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", sshd.port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", sshd.port)),
        ]

    with plain_sshd(tmp_path) as sshd:
        monkeypatch.setattr(socket, "getaddrinfo", addresses)
        assert await run(ssh, replace(sshd.target, address="db.example"), "echo in") == b"in\n"
    assert looked_up == ["db.example"]


async def test_nothing_is_read_from_the_environment_or_the_home(
    tmp_path: Path, ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "agent"))
    with plain_sshd(tmp_path) as sshd:
        (home / ".ssh/config").write_text("Host *\n  Port 1\n  User nobody\n")
        (home / ".ssh/known_hosts").write_text(
            f"@revoked * {new_key().key.export_public_key().decode()}"
        )
        (home / ".ssh/id_ed25519").write_bytes(sshd.key.key.export_private_key())
        assert await run(ssh, sshd.target, "echo in") == b"in\n"
        with pytest.raises(SshFailure) as failed:
            await run(ssh, replace(sshd.target, key=new_key()), "echo in")
    assert failed.value.kind == "authentication"


async def test_exit_status_output_and_signal_come_back(tmp_path: Path, ssh: Ssh) -> None:
    with plain_sshd(tmp_path) as sshd:
        async with ssh.connect(sshd.target) as session:
            out = await session.run("echo out; echo err >&2; exit 3")
            assert (out.exit_status, out.stdout, out.stderr) == (3, b"out\n", b"err\n")
            killed = await session.run("kill -9 $$")
            assert (killed.exit_status, killed.signal) == (None, "KILL")


async def test_no_more_connections_at_once_than_places(tmp_path: Path) -> None:
    ssh = Ssh(parallel=2, per_host_interval_s=0)
    at_once = peak = 0
    two_have_met = asyncio.Event()

    async def visit(target: Target) -> None:
        nonlocal at_once, peak
        async with ssh.connect(target) as session:
            at_once += 1
            peak = max(peak, at_once)
            if at_once == 2:
                two_have_met.set()
            await two_have_met.wait()  # however slowly the second one logs in
            await session.run(":")
            at_once -= 1

    with plain_sshd(tmp_path) as sshd:
        async with asyncio.timeout(60):
            await asyncio.gather(*(visit(sshd.target) for _ in range(6)))
    assert peak == 2


async def test_connections_to_one_host_start_an_interval_apart(tmp_path: Path) -> None:
    now = 100.0
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        nonlocal now
        pauses.append(pause_s)
        now += pause_s
        await asyncio.sleep(0)

    ssh = Ssh(per_host_interval_s=5, clock=lambda: now, sleep=sleep)
    with plain_sshd(tmp_path) as sshd:
        for _ in range(3):
            await run(ssh, sshd.target, ":")
        assert pauses == [5, 5]
        await run(ssh, replace(sshd.target, address="localhost"), ":")
        assert pauses == [5, 5]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_is_left_after_sessions_failures_and_cancellation(
    fleet: Fleet, tmp_path: Path
) -> None:
    host = fleet.add("fedora")
    ssh = Ssh(per_host_interval_s=0)
    brief = Ssh(per_host_interval_s=0, limits=Limits(command_s=0.3))
    quick = Ssh(per_host_interval_s=0, limits=Limits(login_s=0.3))
    good = target(host)
    with plain_sshd(tmp_path) as sshd:

        async def one_of_each() -> None:
            await run(ssh, good, "echo in")
            for script in ("sleep 60", "exec cat /dev/zero"):
                with pytest.raises(SshFailure):
                    await run(brief, sshd.target, script)
            with pytest.raises(SshFailure):
                await run(ssh, replace(sshd.target, key=new_key()), ":")
            with pytest.raises(HostKeyMismatch):
                await run(ssh, replace(sshd.target, pinned=HostKey("ssh-rsa", "SHA256:x")), ":")
            task = asyncio.create_task(run(ssh, sshd.target, "sleep 60"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        await one_of_each()
        before, tasks = open_files(), asyncio.all_tasks()
        for _ in range(3):
            await one_of_each()
        assert asyncio.all_tasks() == tasks
        assert open_files() == before
    host.freeze()
    with pytest.raises(SshFailure, match=r"not done within 0\.3 s"):
        await run(quick, good, ":")
    host.thaw()
    assert asyncio.all_tasks() == tasks
    assert open_files() <= before
    fleet.remove(host)
    gc.collect()  # an unclosed socket would warn here, and warnings are errors
