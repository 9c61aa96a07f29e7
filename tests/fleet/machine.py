"""One host's namespaces: made from a directory, driven by requests, gone with its process 1."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

from tests.fleet.processes import FREEZE_PASSES_MAX, Process, processes_of, send

HERE = Path(__file__).parent
ANSWER_TIMEOUT_S = 60.0
POLL_S = 0.004


class FleetError(Exception):
    """The fleet could not do what was asked; the message says why."""


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = ANSWER_TIMEOUT_S) -> None:
    """Wait for a condition; FleetError that names it after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise FleetError(f"waited {limit_s:.0f} s in vain: {what}")
        time.sleep(POLL_S)


class Machine:
    """The running part of a host: namespaces, process 1, its sshd, and what runs in sessions.

    `directory` holds what init.sh builds the file system from; `directory/run` is shared with
    the inside, where it is /run/fleet.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run = directory / "run"
        self.first = 0  # process 1, by the pid that the machine knows
        self._serial = 0
        self._child: subprocess.Popen[str] | None = None

    def boot(self, space_kb: int, hostname: str, spawner: Executor) -> None:
        """Start process 1 and wait for its sshd.

        `spawner` must be one thread that lives as long as the fleet: the kernel kills the host
        when the thread that started it ends (PR_SET_PDEATHSIG), however that comes about.
        """
        os.mkfifo(self.run / "requests", 0o600)
        (self.directory / "stage").mkdir()
        child = spawner.submit(self._spawn, space_kb).result()
        self._child = child
        if child.stdin is None or child.stdout is None:
            raise FleetError("no pipes to the host's first process")
        words = child.stdout.readline().split()
        if len(words) != 2 or words[0] != "mounted":
            raise FleetError(f"{hostname} was not built: {self.log('init.log')}")
        self.first = int(words[1])
        child.stdin.write("go\n")
        child.stdin.flush()
        self.wait_for_sshd()

    def _spawn(self, space_kb: int) -> subprocess.Popen[str]:
        user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
        command = [
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", *user, "--mount", "--uts", "--pid", "--fork", "--kill-child=KILL"),
            *("/bin/sh", str(HERE / "init.sh"), str(self.directory), str(space_kb)),
        ]
        with (self.directory / "init.log").open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                start_new_session=True,
            )

    def destroy(self) -> None:
        """Kill process 1 and with it all others, and wait until they and the mounts are gone."""
        child = self._child
        if child is None:
            return
        # `first` is no stranger: until `unshare` ends, it keeps that pid from being used again.
        with contextlib.suppress(ProcessLookupError):
            os.kill(
                self.first if self.first and child.poll() is None else child.pid, signal.SIGKILL
            )
        child.wait(ANSWER_TIMEOUT_S)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        self._child = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def request(self, what: str) -> None:
        """Ask the keeper (keep.sh) for something and wait until it has done it."""
        self._serial += 1
        with (self.run / "requests").open("w") as requests:
            requests.write(f"{what} {self._serial}\n")
        done = self.run / "done"
        wait_until(lambda: _text(done).strip() == str(self._serial), f"{what} was not done")

    def new_boot_id(self) -> None:
        """Written in place: the file is bind-mounted inside."""
        (self.run / "boot_id").write_text(f"{uuid.uuid4()}\n")

    def set_memory(self, total_kb: int) -> None:
        """MemTotal, in place as above."""
        meminfo = self.run / "meminfo"
        _, _, others = meminfo.read_text().partition("\n")
        meminfo.write_text(f"MemTotal: {total_kb:15d} kB\n{others}")

    def wait_for_sshd(self) -> None:
        """Wait until sshd listens: it writes its pid file after that."""
        try:
            wait_until(lambda: _text(self.run / "listener") != "", "sshd did not start to listen")
        except FleetError as error:
            raise FleetError(f"{error}: {self.log('run/sshd.log')}") from None

    def processes(self) -> Iterator[Process]:
        """The host's processes, but those two that play its kernel (process 1 and the keeper)."""
        keeper = _text(self.run / "keeper").strip()
        for process in processes_of(self.first):
            if process.inner_pid != 1 and str(process.inner_pid) != keeper:
                yield process

    def freeze(self) -> None:
        """SIGSTOP to all processes, again until no new one has appeared meanwhile."""
        for _ in range(FREEZE_PASSES_MAX):
            running = [process for process in self.processes() if process.state != "T"]
            if not running:
                return
            for process in running:
                send(process, signal.SIGSTOP)
            time.sleep(POLL_S)
        raise FleetError("the host starts processes faster than they can be frozen")

    def thaw(self) -> None:
        """SIGCONT to all processes."""
        for process in self.processes():
            send(process, signal.SIGCONT)

    def kill_sessions(self) -> int:
        """SIGKILL to the sshd processes of sessions, not to what they run; returns how many."""
        listener = _text(self.run / "listener").strip()
        sessions = [
            process
            for process in self.processes()
            if process.name.startswith("sshd") and str(process.inner_pid) != listener
        ]
        for process in sessions:
            send(process, signal.SIGKILL)
        return len(sessions)

    def path(self, inside: str) -> Path:
        """Where a path of the host can be read and written from outside."""
        return Path(f"/proc/{self.first}/root") / inside.lstrip("/")

    def log(self, name: str) -> str:
        """A log file of the host's directory, for error messages."""
        return _text(self.directory / name).strip() or "(nothing logged)"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
