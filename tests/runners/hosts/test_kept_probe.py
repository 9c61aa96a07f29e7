"""Checks over connections that are kept, with a real sshd."""

import asyncio
import getpass
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.aggregates.host import Host, Registration
from domain.aggregates.host_events import FactsGathered
from runners.hosts.outcomes import HostKeyChanged, HostUnusable
from runners.hosts.probe import KeptProbe
from runners.hosts.ssh_session import HostSessions
from runners.security.private_keys import PrivateKey
from runners.ssh.client import Ssh
from tests.runners.stage import until
from tests.support.plain_sshd import PlainSshd, new_key, plain_sshd

LIMIT_S = 60.0
ADDRESS = "127.0.0.1"


@dataclass
class Checked:
    """A host, and whoever checks it."""

    sshd: PlainSshd
    host: Host
    ssh: Ssh
    key: PrivateKey
    answer_s: float = LIMIT_S

    async def check(self) -> FactsGathered:
        async def private_key(subject: str) -> PrivateKey:
            return self.key

        async def trust(algorithm: str, fingerprint: str) -> None:
            self.host.pin_key(algorithm, fingerprint)

        sessions = HostSessions(self.ssh, private_key)
        return await KeptProbe(sessions, self.ssh.kept, self.answer_s)(self.host, trust)

    @property
    def logins(self) -> int:
        """As sshd counts them."""
        return self.sshd.log.read_text().count("Accepted publickey")

    def sessions(self) -> list[int]:
        """The processes of sshd that have a connection."""
        listener = self.sshd.process.pid
        children = Path(f"/proc/{listener}/task/{listener}/children").read_text().split()
        return [int(child) for child in children]

    def signal_sessions(self, number: signal.Signals) -> None:
        for child in self.sessions():
            pids = Path(f"/proc/{child}/task/{child}/children").read_text().split()
            for pid in [*map(int, pids), child]:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Checked]:
    with plain_sshd(tmp_path) as sshd:
        host = Host(ADDRESS)
        host.register(Registration(getpass.getuser(), sshd.port), sshd.key.fingerprint)
        yield Checked(sshd, host, Ssh(per_host_interval_s=0, kept=10), sshd.key)


async def closed(checked: Checked) -> None:
    checked.ssh.kept.forget_all()
    await until(lambda: not checked.sessions())


async def test_several_checks_are_one_login(checked: Checked) -> None:
    await checked.check()  # pins the key of the host
    facts = [await checked.check() for _ in range(4)]
    assert len({one.boot_id for one in facts}) == 1
    assert checked.logins == 2
    assert checked.ssh.kept.reused == 3
    await closed(checked)


async def test_without_places_each_check_logs_in_and_leaves_nothing(checked: Checked) -> None:
    checked.ssh = Ssh(per_host_interval_s=0)
    for _ in range(3):
        await checked.check()
    assert checked.logins == 3
    await until(lambda: not checked.sessions())


async def test_a_connection_that_the_host_ended_is_opened_anew_in_the_same_check(
    checked: Checked,
) -> None:
    for _ in range(2):
        await checked.check()
    checked.signal_sessions(signal.SIGKILL)
    assert (await checked.check()).boot_id
    assert checked.logins == 3
    await closed(checked)


async def test_a_connection_that_answers_nothing_is_opened_anew_in_the_same_check(
    checked: Checked,
) -> None:
    for _ in range(2):
        await checked.check()
    stopped = checked.sessions()
    checked.signal_sessions(signal.SIGSTOP)
    checked.answer_s = 0.5
    try:
        assert (await checked.check()).boot_id
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        checked.signal_sessions(signal.SIGCONT)
    assert checked.logins == 3
    assert checked.ssh.kept.broken == 1
    await closed(checked)


async def test_a_connection_with_a_command_on_it_is_not_used(checked: Checked) -> None:
    for _ in range(2):
        await checked.check()
    (session,) = [kept.session for kept in checked.ssh.kept._idle.values()]
    unanswered = asyncio.create_task(session.run("sleep 100"))
    await until(lambda: not session.is_at_rest)
    await checked.check()
    assert checked.logins == 3, "a command runs there: never two at once"
    unanswered.cancel()
    await asyncio.wait([unanswered])
    await closed(checked)


@pytest.mark.parametrize("what", ["credentials", "port", "pin"])
async def test_what_a_login_depends_on_is_changed_and_the_connection_is_not_used(
    checked: Checked, what: str
) -> None:
    for _ in range(2):
        await checked.check()
    host, pinned = checked.host, checked.host.pinned
    match what:
        case "credentials":
            checked.key = new_key()
            host.rotate_credentials(checked.key.fingerprint, getpass.getuser(), checked.sshd.port)
        case "port":
            host.rotate_credentials(host.fingerprint, getpass.getuser(), 1)
        case _:
            host.forget_key()
            host.pin_key("ssh-ed25519", f"{pinned[:-1]}x")
    with pytest.raises((HostUnusable, HostKeyChanged)):
        await checked.check()
    assert checked.ssh.kept.reused == 0
    await until(lambda: not checked.sessions())


async def test_a_host_that_is_away_is_told_as_it_is_without_a_kept_connection(
    checked: Checked,
) -> None:
    for _ in range(2):
        await checked.check()
    checked.signal_sessions(signal.SIGKILL)
    checked.sshd.process.terminate()
    checked.sshd.process.wait(LIMIT_S)
    with pytest.raises(HostUnusable, match="refused the connection"):
        await checked.check()
