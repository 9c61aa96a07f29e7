"""The files that a host is made of, written before init.sh builds its file system from them."""

import os
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.fleet.keys import KeyPair
from tests.fleet.machine import FleetError
from tests.fleet.systems import MACHINE_ONLY, MACHINE_ONLY_MORE, PLAYED_BY, System

HERE = Path(__file__).parent
ID_OF_OTHERS = 1000
ASKING_TIMEOUT_S = 10

SUDOERS = {
    "works": "Defaults !syslog\nroot ALL=(ALL:ALL) ALL\n{user} ALL=(ALL:ALL) NOPASSWD: ALL\n",
    "password": "Defaults !syslog\nroot ALL=(ALL:ALL) ALL\n{user} ALL=(ALL:ALL) ALL\n",
}

SSHD_CONFIG = """\
Port {port}
ListenAddress {address}
HostKey /run/fleet/host_key
AuthorizedKeysFile /run/fleet/authorized_keys
PidFile /run/fleet/listener
StrictModes no
UsePAM {pam}
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
MaxStartups {startups}
Banner {banner}
"""
SETENV_OF_ROOT = "SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
PENALTIES_SINCE = (9, 8)
STARTUPS_OF_SSHD = "10:30:100"  # its default


@dataclass
class Sshd:
    """The part of sshd's configuration that changes."""

    address: str
    port: int
    startups: str = STARTUPS_OF_SSHD
    banner: str = "none"
    pam: str = "no"
    more: str = ""
    """Further lines; sshd takes the first of two that say the same."""

    def text(self) -> str:
        """sshd_config; a bare IPv6 address is what ListenAddress wants beside Port."""
        text = self.more + SSHD_CONFIG.format(**vars(self))
        if openssh_version() >= PENALTIES_SINCE:
            # A session that a test cuts is a crash to sshd, which then shuts its client out.
            text += "PerSourcePenalties no\n"
        # A plain user stands for root as far as possible, so has the path of root.
        return text if os.geteuid() == 0 else text + SETENV_OF_ROOT


@cache
def openssh_version() -> tuple[int, int]:
    """Major and minor version of the machine's OpenSSH."""
    said = subprocess.run(
        ["ssh", "-V"], capture_output=True, text=True, check=True, timeout=ASKING_TIMEOUT_S
    ).stderr
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Replace a file in one step, with the parents that it needs, whatever the umask is."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        parent.chmod(0o755)
    new = path.with_name(path.name + ".new")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.chmod(mode)
    new.replace(path)


def lay_out(
    directory: Path, system: System, user: str, sshd: Sshd, keys: tuple[KeyPair, KeyPair]
) -> None:
    """Write everything that a host starts from. keys: the host's, and the user's."""
    host_key, user_key = keys
    name = directory.name
    run = directory / "run"
    write(run / "host_key", host_key.private, 0o600)
    write(run / "authorized_keys", user_key.public + "\n")
    (run / "boot_id").write_text(f"{uuid.uuid4()}\n")  # bind-mounted: always the same file
    write(run / "ran", "", 0o666)
    (run / "settings").mkdir()
    for script in ("keep.sh", "commands/common.sh"):
        write(run / Path(script).name, (HERE / script).read_text())
    etc = directory / "etc"
    write(etc / "ssh/sshd_config", sshd.text())
    write(etc / "hostname", f"{name}\n")
    write(etc / "hosts", f"127.0.0.1 localhost\n::1 localhost\n{sshd.address} {name}\n")
    write(etc / "sudoers", SUDOERS["works"].format(user=in_sudoers(user)), 0o440)
    _write_accounts(directory, user, "/bin/sh" if system.busybox else "/bin/bash")
    write_identity(directory, system)
    if os.geteuid() != 0:
        write(directory / "usr/bin/sudo", (HERE / "commands/sudo").read_text(), 0o755)
    (etc / "os-release").symlink_to("../usr/lib/os-release")
    hidden = ["/usr/bin/" + name for name in MACHINE_ONLY + MACHINE_ONLY_MORE]
    hidden += ["/usr/sbin/" + name for name in MACHINE_ONLY_MORE]
    # Nothing that looks after hosts may count on Python there.
    hidden += [str(path) for path in Path("/usr").glob("*bin/python*")]
    hidden += [str(path) for path in Path("/usr/local").glob("bin/python*")]
    hidden = [path for path in hidden if not (directory / path.lstrip("/")).exists()]
    hidden += ["/etc/debian_version", "/etc/issue", "/etc/motd"]
    write(directory / "hidden", "".join(path + "\n" for path in hidden))
    if system.busybox:
        _write_busybox(
            directory / "only", directory / "usr", with_sudo=os.geteuid() == 0 and user != "root"
        )


def write_identity(root: Path, system: System) -> None:
    """os-release and the commands of a system, under `root`."""
    write(root / "usr/lib/os-release", system.os_release_text())
    for command in system.commands:
        script = HERE / "commands" / PLAYED_BY.get(command, command)
        write(root / _place_of(command), script.read_text(), 0o755)


def erase_identity(root: Path, system: System) -> None:
    """Take a system's commands away."""
    for command in system.commands:
        (root / _place_of(command)).unlink(missing_ok=True)


def in_sudoers(user: str) -> str:
    """The name of a user as sudoers has it: a backslash, of a directory's name, stands twice."""
    return user.replace("\\", "\\\\")


def ids_of(user: str) -> tuple[int, int]:
    """uid and gid of a host's user; without root, whoever runs the fleet goes by that name."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    return (0, 0) if user == "root" else (ID_OF_OTHERS, ID_OF_OTHERS)


def _place_of(command: str) -> str:
    in_sbin = command in ("reboot", "poweroff", "halt", "shutdown")
    return f"usr/sbin/{command}" if in_sbin else f"usr/bin/{command}"


def _write_accounts(directory: Path, user: str, shell: str) -> None:
    uid, gid = ids_of(user)
    accounts = {
        user: "",  # the first with its number, so that it is the name of it
        "root": f"root:x:0:0:root:/root:{shell}",
        "sshd": "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin",
        "nobody": "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    }
    groups = {"root": 0, "tty": 5, "shadow": 42, "nogroup": 65534}
    if uid != 0:
        home = "/root" if user == "root" else f"/home/{user}"
        accounts[user] = f"{user}:x:{uid}:{gid}::{home}:{shell}"
        groups[user] = gid
    etc = directory / "etc"
    write(etc / "passwd", "".join(line + "\n" for line in accounts.values()))
    write(etc / "group", "".join(f"{name}:x:{number}:\n" for name, number in groups.items()))
    # "*" is no password at all; "!" would be a locked account, which sshd refuses.
    shadow = "".join(f"{name}:*:19000:0:99999:7:::\n" for name in accounts)
    write(etc / "shadow", shadow, 0o640)
    write(directory / "users", f"{user} {uid}:{gid}\n")


def _write_busybox(only: Path, usr: Path, with_sudo: bool) -> None:
    """Directories that stand for all of /usr/bin and /usr/sbin: applets, sshd, our scripts."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FleetError("a busybox host needs busybox: apt-get install busybox-static")
    listing = subprocess.run(
        [busybox, "--list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=ASKING_TIMEOUT_S,
    )
    for directory in ("bin", "sbin"):
        folder = only / "usr" / directory
        folder.mkdir(parents=True)
        scripts = usr / directory
        for script in scripts.iterdir() if scripts.exists() else ():
            shutil.copy(script, folder)
    folder = only / "usr/bin"
    shutil.copy(busybox, folder / "busybox")
    taken = {path.name for path in only.rglob("*")}
    for applet in listing.stdout.split():
        if applet not in taken:
            (folder / applet).symlink_to("busybox")
    shutil.copy("/usr/sbin/sshd", only / "usr/sbin")
    (only / "usr/sbin/nologin").symlink_to("../bin/false")
    if with_sudo:
        shutil.copy("/usr/bin/sudo", folder)
        (folder / "sudo").chmod(0o4755)
