"""The faults that a fleet can play are real ones, as the system's own ssh sees them."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.fleet import Fleet
from tests.fleet.fixtures import fleet, ssh
from tests.fleet.machine import wait_until
from tests.fleet.ssh import SSH_FAILED, SSH_TIMEOUT_S, Client, banner_of, refuses

__all__ = ["fleet", "ssh"]

NO_ANSWER_S = 1


def test_a_host_refuses_while_it_is_stopped(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    before = host.boot_id
    host.stop()
    assert refuses(host)
    host.start()
    assert ssh.out(host, "cat /proc/sys/kernel/random/boot_id") == host.boot_id != before


def test_a_frozen_host_accepts_and_says_nothing_until_it_is_thawed(fleet: Fleet) -> None:
    host = fleet.add()
    host.freeze()
    with socket.create_connection((host.address, host.port), timeout=NO_ANSWER_S) as connection:
        with pytest.raises(TimeoutError):
            connection.recv(4)
        host.thaw()
        connection.settimeout(SSH_TIMEOUT_S)
        assert connection.recv(4) == b"SSH-"


def test_a_dropped_connection_ends_in_the_middle_and_the_next_one_works(
    fleet: Fleet, ssh: Client
) -> None:
    host = fleet.add()
    session = ssh.start(host, "setsid sleep 1000 & sleep 1000")
    assert host.drop_connections() >= 1
    session.communicate(timeout=SSH_TIMEOUT_S)
    assert session.returncode == SSH_FAILED
    assert ssh.out(host, "pgrep -c sleep") == "2", "a cut does not end what runs on the host"


def test_a_frozen_session_hangs_and_goes_on(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    session = ssh.start(host, "until [ -e /run/gate ]; do sleep 0.01; done; echo done")
    host.freeze()
    host.path("/run/gate").touch()
    assert {process.state for process in host.processes()} == {"T"}
    with pytest.raises(subprocess.TimeoutExpired):
        session.communicate(timeout=NO_ANSWER_S)
    host.thaw()
    assert session.communicate(timeout=SSH_TIMEOUT_S)[0] == "done\n"


def test_banners_are_dropped_as_often_as_asked(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    host.drop_banner(2)
    assert [banner_of(host) for _ in range(3)] == [b"", b"", b"SSH-"]
    assert ssh.out(host, "echo in") == "in"


def test_a_host_that_drops_banners_can_be_stopped_and_goes_on_with_it(fleet: Fleet) -> None:
    host = fleet.add()
    host.drop_banner(1)
    host.stop()
    assert refuses(host)
    host.start()
    assert [banner_of(host) for _ in range(2)] == [b"", b"SSH-"]


def test_a_connection_is_cut_after_so_many_bytes(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    host.cut_after(100_000)
    ended = ssh.run(host, "head -c 1000000 /dev/zero")
    assert ended.returncode == SSH_FAILED
    assert 0 < len(ended.stdout) < 100_000
    assert len(ssh.run(host, "head -c 1000000 /dev/zero").stdout) == 1_000_000


def test_a_silent_host_is_given_up_by_its_client(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    host.say_nothing(1)
    assert "timed out" in ssh.run(host, "true", ConnectTimeout="1").stderr
    assert ssh.out(host, "echo in") == "in"


def test_a_start_up_limit_drops_who_is_too_many(fleet: Fleet) -> None:
    host = fleet.add()
    host.startup_limit(2)
    address = (host.address, host.port)
    with socket.create_connection(address) as one, socket.create_connection(address) as two:
        assert one.recv(4) == two.recv(4) == b"SSH-"
        assert banner_of(host) in (b"", b"Exce")
    wait_until(lambda: banner_of(host) == b"SSH-", "places are free again")


def test_a_slow_host_takes_its_time(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    host.slow(1.5)
    began = time.monotonic()
    assert ssh.out(host, "echo in") == "in"
    assert time.monotonic() - began >= 1.5
    host.slow(0)
    wait_until(lambda: seconds(lambda: ssh.out(host, "echo in")) < 1.5, "it is as quick as before")


def seconds(call: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


@pytest.mark.parametrize("system", ["fedora", "busybox"])
def test_login_noise_comes_before_the_output(fleet: Fleet, ssh: Client, system: str) -> None:
    host = fleet.add(system)
    host.login_noise(1_000_000)
    assert ssh.run(host, "echo in").stdout == "x" * 1_000_000 + "\nin\n"


def test_the_banner_is_shown_before_log_in(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    host.banner("Authorised personnel only.\n")
    assert "personnel only" in ssh.run(host, "true", LogLevel="INFO").stderr


@pytest.mark.parametrize("system", ["ubuntu", "busybox"])
def test_sudo_works_or_asks_or_is_missing(fleet: Fleet, ssh: Client, system: str) -> None:
    host = fleet.add(system, user="ops")
    assert ssh.out(host, "id -un") == "ops"
    # Where the fleet runs as a plain user, ops is that user, and sudo a script that lets it be.
    assert ssh.out(host, "sudo -n id -un") == ("root" if os.geteuid() == 0 else "ops")
    host.sudo("password")
    refused = ssh.run(host, "sudo -n true")
    assert (refused.returncode, "password is required" in refused.stderr) == (1, True)
    host.sudo("missing")
    assert ssh.run(host, "sudo -n true").returncode == 127
    host.sudo("works")
    assert ssh.run(host, "sudo -n true").stderr == ""


def test_a_full_tmp_takes_nothing_more(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    host.full_tmp()
    ended = ssh.run(host, "echo x >/tmp/x")
    assert ended.returncode != 0
    assert "No space left" in ended.stderr
    assert ssh.out(host, "echo x >/var/tmp/x && cat /var/tmp/x") == "x"


def test_a_host_becomes_another_system(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add("atomic")
    host.change_system("debian")
    script = ". /etc/os-release; echo $ID; ls /run/ostree-booted; command -v rpm-ostree apt-get"
    assert ssh.run(host, script).stdout.split() == ["debian", "/usr/bin/apt-get"]


def test_clock_cpus_and_memory_can_change(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add("rhel")
    host.clock_off(-20 * 366 * 24 * 3600)
    host.cpus(48)
    host.memory(131_072_000)
    said = ssh.out(host, "date +%Y; nproc; awk '/^MemTotal:/ { print $2 }' /proc/meminfo")
    year, cpus, memory = (int(word) for word in said.split())
    assert datetime.now(UTC).year - year in (20, 21)
    assert (cpus, memory) == (48, 131_072_000)
