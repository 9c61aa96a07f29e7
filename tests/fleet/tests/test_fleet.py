"""The fleet keeps its promises, asked by the system's own ssh client."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fleet import SYSTEMS, Fleet, FleetError, new_key
from tests.fleet.fixtures import fleet, ssh
from tests.fleet.machine import wait_until
from tests.fleet.processes import processes_of
from tests.fleet.ssh import SSH_FAILED, SSH_TIMEOUT_S, Client, refuses

__all__ = ["fleet", "ssh"]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_says_who_it_is(fleet: Fleet, ssh: Client, system: str) -> None:
    host = fleet.add(system)
    packages = "dnf yum apt-get rpm-ostree python3"
    said = ssh.out(
        host,
        ". /etc/os-release; echo $ID; cat /proc/sys/kernel/random/boot_id; hostname;"
        " df -kP / | awk 'END { print $2, $6 }'; ls /run | grep ostree;"
        f" for command in {packages}; do command -v $command; done; true",
    ).split()
    known = [f"/usr/bin/{name}" for name in packages.split() if name in SYSTEMS[system].packages]
    identity = [SYSTEMS[system].os_release["ID"], host.boot_id, host.name]
    ostree = ["ostree-booted"] if SYSTEMS[system].ostree else []
    assert said == [*identity, str(host.space_kb), "/", *ostree, *known]


def test_a_busybox_host_has_nothing_but_applets(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add("busybox")
    assert "BusyBox" in ssh.out(host, "awk --help 2>&1 | head -1")
    assert ssh.run(host, "bash -c true").returncode == 127
    assert ssh.out(host, "readlink /proc/$$/exe") == "/usr/bin/busybox"


def test_two_hosts_differ_in_all_that_identifies_a_host(fleet: Fleet, ssh: Client) -> None:
    one, two = fleet.add_many(["debian", "debian"])
    assert one.address != two.address
    assert one.boot_id != two.boot_id
    assert one.host_key_fingerprint != two.host_key_fingerprint
    assert one.private_key != two.private_key
    ssh.out(one, "touch /tmp/mine /var/lib/mine /etc/mine /usr/bin/mine ~/mine")
    assert ssh.run(two, "cat /tmp/mine /var/lib/mine").returncode != 0
    assert not Path("/etc/mine").exists()
    assert not Path("/usr/bin/mine").exists()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_all_kinds_log_in(fleet: Fleet, ssh: Client, kind: str) -> None:
    host = fleet.add(key=new_key(kind, pem=kind != "ed25519"))
    assert ssh.out(host, "echo in") == "in"


def test_the_host_shows_the_key_of_its_fingerprint_and_then_another(fleet: Fleet) -> None:
    host = fleet.add()

    def shown() -> str:
        scan = ["ssh-keyscan", "-t", "ed25519", "-p", str(host.port), host.address]
        keys = subprocess.run(scan, capture_output=True, check=True, timeout=SSH_TIMEOUT_S).stdout
        listing = subprocess.run(
            ["ssh-keygen", "-l", "-f", "-"], input=keys, capture_output=True, check=True, timeout=5
        )
        return listing.stdout.decode().split()[1]

    first = host.host_key_fingerprint
    assert shown() == first
    host.change_host_key()
    assert shown() == host.host_key_fingerprint != first


def test_ipv6_and_a_port_of_choice_work(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add(address="::1")
    assert ssh.out(host, "echo $SSH_CONNECTION").split()[2:] == ["::1", str(host.port)]
    other = fleet.add(port=2022)
    assert other.port == 2022
    assert ssh.out(other, "echo in") == "in"
    with pytest.raises(OSError, match="in use"):
        fleet.add(address=other.address, port=2022)


def test_what_the_commands_were_called_with_is_kept(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add("fedora")
    assert host.ran == []
    assert "Complete!" in ssh.out(host, "dnf -y upgrade 'two words' ''")
    assert ssh.run(host, "yum check-update").returncode == 100
    calls = [["dnf", "-y", "upgrade", "two words", ""], ["yum", "check-update"]]
    assert host.ran == calls
    host.set("package_status", 1)
    assert ssh.run(host, "dnf -y upgrade").returncode == 1


def test_an_upgrade_can_restart_sshd_under_its_session(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add("debian")
    host.set("package_restarts_sshd", "yes")
    assert "Complete!" in ssh.out(host, "apt-get -y -o Dpkg::Options::=--force-confold upgrade")
    wait_until(lambda: host.log.count("Server listening") == 2, "sshd is back")
    assert ssh.out(host, "echo in") == "in"


def test_an_ostree_host_boots_what_was_deployed(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add("atomic")
    ssh.out(host, "rpm-ostree deploy 27.105")
    assert '"version":"27.105","booted":false' in ssh.out(host, "rpm-ostree status --json")
    assert ssh.run(host, "rpm-ostree deploy --unchanged-exit-77 27.105").returncode == 77
    host.reboot()
    assert '"version":"27.105","booted":true' in ssh.out(host, "rpm-ostree status --json")


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("fedora", "reboot"),
        ("debian", "systemctl reboot"),
        ("centos", "shutdown -r now"),
        ("busybox", "reboot"),
    ],
)
def test_a_reboot_ends_everything_and_comes_back_with_a_new_boot_id(
    fleet: Fleet, ssh: Client, system: str, command: str
) -> None:
    host = fleet.add(system)
    before = host.boot_id
    ssh.out(host, "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo kept >/var/lib/kept")
    ssh.run(host, command)
    wait_until(lambda: host.boot_id != before, "a new boot id")
    wait_until(lambda: not refuses(host), "sshd is back")
    assert ssh.out(host, "cat /proc/sys/kernel/random/boot_id /var/lib/kept") == (
        f"{host.boot_id}\nkept"
    )
    assert ssh.run(host, "pgrep sleep").stdout == ""
    assert host.ran == [command.split()]


def test_a_reboot_that_was_none_keeps_the_boot_id_and_one_may_never_return(
    fleet: Fleet, ssh: Client
) -> None:
    host = fleet.add()
    before = host.boot_id
    host.reboots("same")
    host.reboot()
    assert ssh.out(host, "cat /proc/sys/kernel/random/boot_id") == before
    host.reboots("never")
    ssh.run(host, "reboot")
    wait_until(lambda: refuses(host), "the host is down")
    host.start()
    assert host.boot_id != before
    assert ssh.out(host, "echo in") == "in"


@needs_root
def test_a_plain_user_of_a_host_cannot_reboot_it(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add("ubuntu", user="ops")
    assert "authentication required" in ssh.run(host, "systemctl reboot").stderr
    assert ssh.run(host, "sudo -n systemctl reboot").returncode in (0, SSH_FAILED)
    wait_until(lambda: refuses(host), "the host goes down")


def test_orphans_are_collected(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    pid = ssh.out(host, "setsid sh -c 'echo $$; exec sleep 0.1' 2>/dev/null </dev/null &")
    wait_until(lambda: not host.path(f"/proc/{pid}").exists(), "the orphan is gone")


def test_fifty_hosts_start_in_seconds(fleet: Fleet, ssh: Client) -> None:
    began = time.monotonic()
    hosts = fleet.add_many(["fedora", "debian"] * 25)
    assert time.monotonic() - began < 60, "seconds, also where the machine is busy"
    assert len({host.address for host in hosts}) == 50
    assert ssh.out(hosts[-1], ". /etc/os-release; echo $ID") == "debian"


def test_nothing_is_left_when_the_block_ends_in_an_error(tmp_path: Path) -> None:
    hosts = []

    def midway() -> None:
        with Fleet(tmp_path / "fleet") as fleet:
            hosts.append(fleet.add())
            hosts[0].drop_banner(1)
            hosts[0].freeze()
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        midway()
    assert refuses(hosts[0])
    assert not any(processes_of(hosts[0].first))
    assert not list((tmp_path / "fleet").iterdir())


KILLED = """
import sys, time
from pathlib import Path
from tests.fleet import Fleet
fleet = Fleet(Path(sys.argv[1]))
hosts = fleet.add_many(["debian"] * 3)
hosts[0].freeze()
print(*[host.first for host in hosts], flush=True)
time.sleep(1000)
"""


def test_nothing_survives_a_test_process_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "fleet")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        firsts = [int(word) for word in process.stdout.readline().split()]
        assert len(firsts) == 3
        assert all(any(processes_of(first)) for first in firsts)
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(any(processes_of(first)) for first in firsts), "all are gone")
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


def test_a_host_that_cannot_be_made_says_why(fleet: Fleet) -> None:
    with pytest.raises(KeyError, match="no system 'plan9'"):
        fleet.add("plan9")
    with pytest.raises(FleetError, match="busybox"):
        fleet.add().change_system("busybox")
    with pytest.raises(ValueError, match="works"):
        fleet.add().sudo("perhaps")
