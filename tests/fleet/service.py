"""The service as its users have it: a process of its own, in a data directory, over HTTP."""

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMISSAIRE = (sys.executable, "-c", "from runners.cli import main; main()")
USER = "admin"
ADDRESS_SAID = "Commissaire serves on "
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 40.0


class ServiceError(Exception):
    """The service did not start or stop as it should; the message has the end of its log."""


@dataclass(frozen=True)
class Running:
    """A service that runs: its URL, who may use it, and its process."""

    url: str
    user: str
    password: str
    pid: int


@contextmanager
def running(directory: Path, *flags: str) -> Iterator[Running]:
    """`commissaire serve` with an admin, in `directory`; stopped by SIGTERM at the end.

    Raises ServiceError when it does not start, or does not end well.
    """
    users = directory / "users.json"
    password = secrets.token_urlsafe(18)
    subprocess.run(
        [*COMMISSAIRE, "user", "add", USER, "--role=admin", "--password-stdin", f"--users={users}"],
        input=f"{password}\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=START_TIMEOUT_S,
    )
    log = directory / "service.log"
    data = directory / "data"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMISSAIRE, "serve", f"--data={data}", f"--users={users}", "--port=0", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield Running(_address(process, log), USER, password, process.pid)
    except BaseException:
        process.kill()
        raise
    else:
        process.send_signal(signal.SIGTERM)
        if (status := _ended(process)) != 0:
            raise ServiceError(f"the service ended with status {status}: {_end_of(log)}")
    finally:
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """What it says on stdout once it listens; its end is the other way out of the wait."""
    timer = threading.Timer(START_TIMEOUT_S, process.kill)
    timer.start()
    try:
        for line in process.stdout or ():
            if line.startswith(ADDRESS_SAID):
                return line.removeprefix(ADDRESS_SAID).strip()
    finally:
        timer.cancel()
    raise ServiceError(f"the service did not start: {_end_of(log)}")


def _ended(process: subprocess.Popen[str]) -> int | None:
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return None


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) or "(nothing logged)"
