"""The system's own ssh, and what a host's port says: to ask a fleet what it is really like."""

import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.fleet.host import Host

SSH_TIMEOUT_S = 20
SSH_FAILED = 255
"""Exit status of ssh itself."""
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "LogLevel": "ERROR",
    "ConnectTimeout": "10",
    "KexAlgorithms": "curve25519-sha256",
}

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

    def start(self, host: Host, command: str) -> subprocess.Popen[str]:
        """A session in the background that has said its first line."""
        line = self.command(host, f"echo begun; {command}")
        session = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert session.stdout is not None
        assert session.stdout.readline() == "begun\n"
        return session


def banner_of(host: Host) -> bytes:
    """The first bytes from the host's port; empty when it closes before it says anything."""
    with socket.create_connection((host.address, host.port), timeout=SSH_TIMEOUT_S) as connection:
        return connection.recv(4)


def refuses(host: Host) -> bool:
    """Whether nothing listens at the host's port."""
    try:
        socket.create_connection((host.address, host.port), timeout=SSH_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it closed in this moment
        return False
    return False
