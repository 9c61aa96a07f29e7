"""The service as an operator runs it: a process of its own, over a real socket."""

import os
import re
import secrets
import signal
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from runners.security.users import UsersFile, hash_password
from tests.support import leftovers
from tests.support.warm_start import CHEAP_BCRYPT, Forked, WarmStart

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0
WAIT_TIMEOUT_S = 60.0
POLL_S = 0.02

T = TypeVar("T")

DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""Of util-linux: even where the tests get SIGKILL, no server outlives them."""


class Service:
    """`commissaire serve` on a data directory. Users `admin`, `operator`, `viewer` exist: in a file
    that is `named`, so that they are no part of the log, or else in one that is taken over.

    Each start takes a free port; `client` speaks to the process that runs now, as admin. Without
    `warm` it is started by its command line, as wherever the command line is not the usual one.
    """

    def __init__(
        self,
        directory: Path,
        database_url: str | None = None,
        *flags: str,
        warm: bool = True,
        named: bool = True,
        **environment: str,
    ) -> None:
        self.data = directory / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.log = directory / "log"
        self.password = secrets.token_urlsafe(12)
        users = UsersFile(self.data / "users.json")
        for role in ("admin", "operator", "viewer"):
            users.add(role, hash_password(self.password, CHEAP_BCRYPT), role)
        self._flags = flags
        self._named = named
        self._environment = environment
        if database_url is not None and not database_url.startswith("sqlite"):
            self._environment["COMMISSAIRE_DATABASE"] = database_url
        self._starting = leftovers.starting()
        self._warm = warm
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self.url = ""
        self.trusted: ssl.SSLContext | bool = True
        """What clients trust, where the service speaks TLS."""
        self.client = httpx.Client()

    def names_its_users(self, *, named: bool) -> None:
        """Whether the next start names the file of users."""
        self._named = named

    def restart_with(self, *flags: str) -> None:
        """Start with further flags."""
        self._flags = (*self._flags, *flags)
        self.start()

    def start(self) -> None:
        """Start, and return when it answers."""
        with self.log.open("ab") as log, Path(os.devnull).open("rb") as nothing:
            begin = log.tell()
            environment = self.environment()
            warm = warm_start() if self._may_be_forked() else None
            with self._starting():
                self._process = (
                    warm.start(self.arguments(), environment, (nothing, log, log))
                    if warm is not None and warm.fits(environment)
                    else subprocess.Popen(
                        [*DIE_WITH_US, *self.command()],
                        stdin=nothing,
                        stdout=log,
                        stderr=log,
                        env=environment,
                    )
                )

        def address() -> str | None:
            said = self.read_log(begin)
            if self._process is None or self._process.poll() is not None:
                raise AssertionError(f"the service did not start:\n{said}")
            found = re.search(r"Commissaire serves on (https?://\S+)", said)
            return found[1] if found else None

        self.url = wait_for(address, START_TIMEOUT_S)
        self.client.close()
        self.client = self.client_as("admin")

    def _may_be_forked(self) -> bool:
        """Whether nothing depends on how the process came about."""
        return self._warm and type(self).command is Service.command and leftovers.adopting()

    def arguments(self) -> list[str]:
        """Those of `commissaire`."""
        named = ["--users", str(self.data / "users.json")] if self._named else []
        return ["serve", "--port", "0", "--data", str(self.data), *named, *self._flags]

    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "runners.cli", *self.arguments()]

    def environment(self) -> Mapping[str, str]:
        """What the process sees of our environment, and what the test adds."""
        ours = {
            name: value for name, value in os.environ.items() if not name.startswith("COMMISSAIRE_")
        }
        return ours | {"PYTHONPATH": os.pathsep.join(sys.path)} | self._environment

    def client_as(self, user: str) -> httpx.Client:
        """A client with this user's password."""
        return httpx.Client(
            base_url=f"{self.url}/api/v0",
            auth=(user, self.password),
            timeout=60,
            verify=self.trusted,
        )

    def tool(self, *arguments: str, stdin: bytes = b"") -> str:
        """What another command prints, on the same directory and database, whoever runs."""
        done = subprocess.run(
            [sys.executable, "-m", "runners.cli", *arguments, "--data", str(self.data)],
            input=stdin,
            capture_output=True,
            timeout=WAIT_TIMEOUT_S,
            check=False,
            env=self.environment(),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """As a crash: nothing of it gets a chance to clean up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, such as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; gives its exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(STOP_TIMEOUT_S)
        self._process = None
        return status

    def read_log(self, begin: int = 0) -> str:
        """What it wrote to stdout and stderr."""
        return self.log.read_bytes()[begin:].decode(errors="replace")

    def register(self, host: Any, name: str = "", **more: Any) -> httpx.Response:
        """PUT a host of the fleet, by its address or under another name."""
        body = {
            "ssh_priv_key": b64encode(host.private_key).decode(),
            "remote_user": host.user,
            "ssh_port": host.port,
            **more,
        }
        return self.client.put(f"/host/{name or host.address}", json=body)

    def status(self, address: str) -> str:
        """The status of a host."""
        return str(self.client.get(f"/host/{address}").json()["status"])

    def wait_for_status(self, address: str, *wanted: str, timeout_s: float = WAIT_TIMEOUT_S) -> str:
        """Until a host has one of these statuses."""

        def reached() -> str | None:
            status = self.status(address)
            return status if status in wanted else None

        return wait_for(reached, timeout_s)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        if self._process is None:
            return
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
            if error is None:
                raise


@cache
def warm_start() -> WarmStart:
    """The one of this process, started when a service first asks for it."""
    with leftovers.sharing():
        return WarmStart()


def waited_for_cpu_s(process: int | str = "thread-self") -> float:
    """How long the first thread of a process has waited so far because others had the CPUs."""
    file = Path(f"/proc/{process}/schedstat")
    return int(file.read_text().split()[1]) / 1e9 if file.exists() else 0.0


def wait_for(condition: Callable[[], T | None], timeout_s: float = WAIT_TIMEOUT_S) -> T:
    """The first result that is true. Fails after the limit."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {condition}"
        time.sleep(POLL_S)
    return found
