"""Commands and connections that are cut, frozen or without end."""

import asyncio
import time
from pathlib import Path

import pytest

from runners.hosts.facts import gather
from runners.ssh.client import CLOSE_TIMEOUT_S, Ssh, SshFailure
from runners.ssh.retry import Retries, retrying
from tests.fleet import Fleet, Host
from tests.runners.ssh.failing_hosts import (
    brief,
    failure_of,
    fleet,
    quick,
    ssh,
    target,
)
from tests.support.plain_sshd import plain_sshd

__all__ = ["brief", "fleet", "quick", "ssh"]


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
