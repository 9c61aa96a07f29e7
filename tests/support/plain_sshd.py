"""One sshd on 127.0.0.1 with whatever configuration a test needs; the fleet has whole hosts."""

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from runners.security.private_keys import PrivateKey, read_private_key
from runners.ssh.login import Target
from tests.fleet.addresses import free_port
from tests.support.leftovers import ending

START_LIMIT_S = 60.0


def new_key(algorithm: str = "ssh-ed25519") -> PrivateKey:
    """A key of our own, made up on the spot."""
    return read_private_key(asyncssh.generate_private_key(algorithm).export_private_key())


@dataclass(frozen=True)
class PlainSshd:
    """Where it listens, and the one key that it lets in."""

    port: int
    key: PrivateKey
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def target(self) -> Target:
        """As a first contact."""
        return Target("127.0.0.1", self.port, getpass.getuser(), self.key)


@contextmanager
def plain_sshd(
    directory: Path,
    *lines: str,
    host_keys: tuple[PrivateKey, ...] = (),
    key: PrivateKey | None = None,
) -> Iterator[PlainSshd]:
    """An sshd that listens, with these lines in its configuration; it ends with the block."""
    key = key or new_key()
    port = free_port("127.0.0.1")
    words = [f"Port {port}", "ListenAddress 127.0.0.1", "UsePAM no", "StrictModes no", *lines]
    # What whoever runs the tests has their shell do at each login is not for our sessions: it takes
    # CPU, and a session that ends in the middle of it leaves locks in their home.
    words.append(f"SetEnv HOME={directory}")
    words += [f"PidFile {directory}/pid", f"AuthorizedKeysFile {directory}/authorized"]
    for number, host_key in enumerate(host_keys or (new_key(),)):
        file = directory / f"host_key_{number}"
        file.touch(0o600)
        file.write_bytes(host_key.key.export_private_key())
        words.append(f"HostKey {file}")
    (directory / "authorized").write_bytes(key.key.export_public_key())
    (directory / "sshd_config").write_text("\n".join(words) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it for its unprivileged half
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin") or "sshd"
    log = directory / "sshd.log"
    command = [sshd, "-D", "-f", str(directory / "sshd_config"), "-E", str(log)]
    # What runs in a session goes on when its connection is lost.
    with ending(), subprocess.Popen(command) as process:
        try:
            _wait_until_it_listens(process, port, log)
            yield PlainSshd(port, key, process, log)
        finally:
            process.terminate()
            process.wait(START_LIMIT_S)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while "Server listening" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"sshd does not listen on {port}"
        time.sleep(0.01)
