"""The fleet keeps its promises, asked by the system's own ssh client."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fleet import SYSTEMS, Fleet, FleetError, Host, new_key
from tests.fleet.fixtures import fleet
from tests.fleet.machine import wait_until
from tests.fleet.processes import processes_of

__all__ = ["fleet"]

SSH_TIMEOUT_S = 20
NO_ANSWER_S = 1
SSH_FAILED = 255  # exit status of ssh itself
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "LogLevel": "ERROR",
    "ConnectTimeout": "10",
    "KexAlgorithms": "curve25519-sha256",
}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

Ended = subprocess.CompletedProcess[str]


@dataclass
class Client:
    """The system's ssh."""

    directory: Path

    def command(self, host: Host, command: str, **options: str) -> list[str]:
        """The command line that runs `command` on the host."""
        key = self.directory / f"{host.name}.key"
        if not key.exists():
            key.touch(0o600)
            key.write_bytes(host.private_key)
        pairs = [f"-o{name}={value}" for name, value in (OPTIONS | options).items()]
        who = f"{host.user}@{host.address}"
        return ["ssh", "-F", "none", "-i", str(key), "-p", str(host.port), *pairs, who, command]

    def run(self, host: Host, command: str, **options: str) -> Ended:
        """Run it and wait."""
        return subprocess.run(
            self.command(host, command, **options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SSH_TIMEOUT_S,
        )

    def out(self, host: Host, command: str) -> str:
        """What it prints; it has to succeed."""
        ended = self.run(host, command)
        assert ended.returncode == 0, (ended.stderr, host.log)
        return ended.stdout.strip()


@pytest.fixture
def ssh(tmp_path: Path) -> Client:
    return Client(tmp_path)


def banner_of(host: Host) -> bytes:
    """The first bytes from the host's port; empty when it closes before it says anything."""
    with socket.create_connection((host.address, host.port), timeout=SSH_TIMEOUT_S) as connection:
        return connection.recv(4)


def refuses(host: Host) -> bool:
    try:
        socket.create_connection((host.address, host.port), timeout=SSH_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_says_who_it_is(fleet: Fleet, ssh: Client, system: str) -> None:
    host = fleet.add(system)
    says = ssh.out(host, ". /etc/os-release; echo $ID; ls /run | grep -o ostree; true")
    expected = [SYSTEMS[system].os_release["ID"]] + ["ostree"] * (system == "atomic")
    assert says.split() == expected
    assert ssh.out(host, "cat /proc/sys/kernel/random/boot_id") == host.boot_id
    assert ssh.out(host, "df -kP / | awk 'END { print $2, $6 }'") == f"{host.space_kb} /"
    packages = "dnf yum apt-get rpm-ostree python3"
    found = ssh.out(host, f"for c in {packages}; do command -v $c; done; true").split()
    known = [f"/usr/bin/{name}" for name in packages.split() if name in SYSTEMS[system].packages]
    assert found == known


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


def start(client: Client, host: Host, command: str) -> subprocess.Popen[str]:
    """A session in the background that has said its first line."""
    line = client.command(host, f"echo begun; {command}")
    session = subprocess.Popen(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert session.stdout is not None
    assert session.stdout.readline() == "begun\n"
    return session


def test_a_dropped_connection_ends_in_the_middle_and_the_next_one_works(
    fleet: Fleet, ssh: Client
) -> None:
    host = fleet.add()
    session = start(ssh, host, "setsid sleep 1000 & sleep 1000")
    assert host.drop_connections() >= 1
    session.communicate(timeout=SSH_TIMEOUT_S)
    assert session.returncode == SSH_FAILED
    assert ssh.out(host, "pgrep -c sleep") == "2", "a cut does not end what runs on the host"


def test_a_frozen_session_hangs_and_goes_on(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    session = start(ssh, host, "until [ -e /run/gate ]; do sleep 0.01; done; echo done")
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
    began = time.monotonic()
    assert ssh.out(host, "echo in") == "in"
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("system", ["fedora", "busybox"])
def test_login_noise_comes_before_the_output(fleet: Fleet, ssh: Client, system: str) -> None:
    host = fleet.add(system)
    host.login_noise(1_000_000)
    assert ssh.run(host, "echo in").stdout == "x" * 1_000_000 + "\nin\n"


def test_the_banner_is_shown_before_log_in(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add()
    host.banner("Authorised personnel only.\n")
    assert "personnel only" in ssh.run(host, "true", LogLevel="INFO").stderr


@needs_root
@pytest.mark.parametrize("system", ["ubuntu", "busybox"])
def test_sudo_works_or_asks_or_is_missing(fleet: Fleet, ssh: Client, system: str) -> None:
    host = fleet.add(system, user="ops")
    assert ssh.out(host, "id -un; sudo -n id -un").split() == ["ops", "root"]
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
    wait_until(lambda: not refuses(host), "sshd is back")
    assert ssh.out(host, "echo in") == "in"


def test_an_ostree_host_boots_what_was_deployed(fleet: Fleet, ssh: Client) -> None:
    host = fleet.add("atomic")
    ssh.out(host, "rpm-ostree deploy 27.105")
    assert '"version":"27.105","booted":false' in ssh.out(host, "rpm-ostree status --json")
    assert ssh.run(host, "rpm-ostree deploy --unchanged-exit-77 27.105").returncode == 77
    host.reboot()
    assert '"version":"27.105","booted":true' in ssh.out(host, "rpm-ostree status --json")


@pytest.mark.parametrize("command", ["reboot", "systemctl reboot", "shutdown -r now"])
def test_a_reboot_ends_everything_and_comes_back_with_a_new_boot_id(
    fleet: Fleet, ssh: Client, command: str
) -> None:
    host = fleet.add()
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
    assert time.monotonic() - began < 15
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
