"""What a host says when it lets nobody in, or runs nothing as root, is passed on in its words."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runners.hosts.facts import gather, sudo_failure
from runners.security.private_keys import kept_private_key, read_private_key
from runners.ssh.client import Ssh, SshFailure, Target
from runners.steps.detached_step import as_root
from tests.fleet import Fleet, Host
from tests.runners.steps.remote_steps import start, until
from tests.support.service import wait_for
from tests.support.user_certificates import certified

YESTERDAY = "19000:0:99999:7::19000:"
LONG_AGO = "1:0:30:7:::"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take one of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def host(fleet: Fleet) -> Host:
    return fleet.add("debian", user="ops")


def target(host: Host) -> Target:
    key = read_private_key(host.private_key)
    return Target(host.address, host.port, host.user, key)


async def refusal(host: Host) -> SshFailure:
    with pytest.raises(SshFailure) as failed:
        async with Ssh(per_host_interval_s=0).connect(target(host)) as session:
            await gather(session)
    return failed.value


def shadow(host: Host, fields: str) -> None:
    """What chage would write of the user."""
    file = host.path("/etc/shadow")
    lines = [line for line in file.read_text().splitlines() if not line.startswith("ops:")]
    file.write_text("\n".join([*lines, f"ops:*:{fields}"]) + "\n")


async def test_a_second_factor_is_told_from_a_key_that_is_not_known(host: Host) -> None:
    host.sshd("PasswordAuthentication yes", "AuthenticationMethods publickey,password")
    failure = await refusal(host)
    assert (failure.kind, failure.passing) == ("authentication", False)
    assert "took the key of ops and wants a second factor" in failure.sentence
    host.let_in()
    assert "is its public half" in (await refusal(host)).sentence


async def test_a_certificate_beside_the_key_logs_in_where_plain_keys_do_not(
    host: Host, tmp_path: Path
) -> None:
    made = certified(tmp_path, "-n", "ops")
    host.path("/etc/ssh/authority.pub").write_text(made.authority)
    host.let_in()
    host.sshd("TrustedUserCAKeys /etc/ssh/authority.pub")
    plain = replace(target(host), key=read_private_key(made.key))
    with pytest.raises(SshFailure):
        async with Ssh(per_host_interval_s=0).connect(plain):
            pass
    key = read_private_key(made.key + made.certificate)
    async with Ssh(per_host_interval_s=0).connect(replace(plain, key=key)) as session:
        assert (await session.run("id -un")).stdout == b"ops\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-n", "ops", "-V", "20200101:20200102"), "Certificate expired. Send a renewed one"),
        (("-n", "bob"), "it is for bob, unless"),
        ((), "it is for nobody, unless"),
        (("-n", "ops", "-O", "source-address=192.0.2.0/24"), "TrustedUserCAKeys"),
    ],
    ids=["expired", "for another", "for nobody", "from elsewhere"],
)
async def test_why_a_certificate_logs_nobody_in_is_told_as_far_as_it_tells(
    host: Host, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    made = certified(tmp_path, *options)
    host.path("/etc/ssh/authority.pub").write_text(made.authority)
    host.let_in()
    host.sshd("TrustedUserCAKeys /etc/ssh/authority.pub")
    key = kept_private_key(made.key + made.certificate)
    with pytest.raises(SshFailure) as failed:
        async with Ssh(per_host_interval_s=0).connect(replace(target(host), key=key)):
            pass
    assert failed.value.kind == "authentication"
    assert words in failed.value.sentence
    assert "authorized_keys" not in failed.value.sentence


async def test_an_expired_account_is_told_in_the_words_of_pam(host: Host) -> None:
    shadow(host, YESTERDAY)
    host.banner("Authorized use only.\n")
    host.sshd(pam=True)
    failure = await refusal(host)
    assert (failure.kind, failure.passing) == ("authentication", False)
    assert "Your account has expired" in failure.sentence
    assert "Authorized" not in failure.sentence


async def test_an_expired_password_is_told_in_the_words_of_the_host(host: Host) -> None:
    shadow(host, LONG_AGO)
    host.sshd(pam=True)
    assert "password has expired" in (await refusal(host)).sentence


async def test_a_banner_is_no_reason(host: Host) -> None:
    host.banner("Authorized use only.\n")
    host.let_in()
    assert "Authorized" not in (await refusal(host)).sentence


@pytest.mark.parametrize(
    "words",
    [
        "sudo: account validation failure, is your account locked?",
        "sudo: Account or password is expired, reset your password and try again",
        "sudo: PAM account management error: Authentication service cannot retrieve information",
    ],
)
async def test_what_sudo_says_is_the_reason_where_it_asks_for_no_password(
    host: Host, words: str
) -> None:
    sudo = host.path("/usr/bin/sudo")
    sudo.unlink()
    sudo.write_text(f'#!/bin/sh\necho "{words}" >&2\nexit 1\n')
    sudo.chmod(0o755)
    async with Ssh(per_host_interval_s=0).connect(target(host)) as session:
        sentence = sudo_failure(await gather(session), "ops")
    assert sentence is not None
    assert words in sentence
    assert "NOPASSWD" not in sentence


async def test_sudo_logs_short_lines_whatever_it_runs(host: Host) -> None:
    sudoers = host.path("/etc/sudoers")
    sudoers.chmod(0o640)
    sudoers.write_text(f"Defaults logfile=/var/log/sudo.log\n{sudoers.read_text()}")
    sudoers.chmod(0o440)
    async with Ssh(per_host_interval_s=0).connect(target(host)) as session:
        said = await session.run(
            as_root(f'# {"long " * 2000}\nprintf %s "it\'s so"; id -u; exit 3')
        )
    assert (said.exit_status, said.stdout) == (3, b"it's so0\n")
    await start(host, ("true",))
    await until(host, "ended")
    log = host.path("/var/log/sudo.log")
    wait_for(log.exists)
    calls = log.read_text().split("COMMAND=")[1:]
    assert len(calls) > 2
    assert all(len(call) < 300 for call in calls)


async def test_a_login_shell_that_becomes_another_is_named(host: Host) -> None:
    host.path("/home/ops/.bashrc").write_text("exec cat\n")
    assert "login script" in (await refusal(host)).sentence
