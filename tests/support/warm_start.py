"""Programs of ours that are forked from a process which has imported all of them.

A service starts in a third of the time, and most of the CPU of all the tests was such imports.
It is a process of its own all the same, a child of the tests', with nothing of the process that
it was forked from but its modules. Where coverage is measured (in CI), and where a test looks at
the command line, services are started as operators start them.

    python -m tests.support.warm_start FD PROGRAM

reads from a socket what is to be started, one message each: arguments, environment and directory,
with the files for its input, its output, its errors and its pid.
"""

import atexit
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Literal

MESSAGE_BYTES_MAX = 128 * 1024
PR_SET_PDEATHSIG = 1
POLL_S = 0.001
Program = Literal["commissaire", "commctl"]
STREAMS = ("stdin", "stdout", "stderr")
CHEAP_BCRYPT = 4
"""The cost of new passwords here: a millisecond for a quarter of a second."""


class Forked:
    """A process that was forked for us: what tests use of a Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """The exit status, if it has ended; negative where a signal ended it."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended. Raises subprocess.TimeoutExpired."""
        if self.poll() is None:
            ended = os.pidfd_open(self.pid)
            try:
                watch = select.poll()
                watch.register(ended, select.POLLIN)
                if not watch.poll(None if timeout is None else timeout * 1000):
                    raise subprocess.TimeoutExpired("forked", timeout or 0)
            finally:
                os.close(ended)
        status = self.poll()
        assert status is not None
        return status

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class WarmStart:
    """The process that `commissaire` or `commctl` is forked from; it ends with us."""

    def __init__(self, program: Program = "commissaire") -> None:
        self._asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with asked:
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
            self._surroundings = _surroundings(environment)
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(asked.fileno()), program],
                env=environment,
                pass_fds=[asked.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._asking.close()
        self._process.wait()

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a process with this environment would be like ours, but for its settings."""
        return not measured(environment) and _surroundings(environment) == self._surroundings

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        files: tuple[IO[bytes], IO[bytes], IO[bytes]],
        directory: str = ".",
    ) -> Forked:
        """The program with these arguments, and files as its input, output and errors."""
        message = json.dumps([list(arguments), dict(environment), directory]).encode()
        ours, theirs = os.pipe()
        with os.fdopen(ours, "rb") as told:
            socket.send_fds(self._asking, [message], [*(file.fileno() for file in files), theirs])
            os.close(theirs)
            return Forked(int(told.read()))


def measured(environment: Mapping[str, str]) -> bool:
    """Whether this environment asks for the coverage of a process that starts in it."""
    return any(name.startswith("COVERAGE_") for name in environment)


def _surroundings(environment: Mapping[str, str]) -> dict[str, str]:
    """What is no setting of the program's."""
    return {
        name: value
        for name, value in environment.items()
        if name != "PYTEST_CURRENT_TEST" and not name.startswith("COMMISSAIRE_")
    }


def commissaire() -> Callable[[], object]:
    """The service, with all that it imports."""
    import runners.service.serve  # noqa: F401 - what the forks need
    from runners.cli.main import main
    from web.authentication import passwords

    passwords.new_cost = CHEAP_BCRYPT
    return main


def commctl() -> Callable[[], object]:
    """The operators' command line, with all that its commands import."""
    from commctl.__main__ import main
    from commctl.main import whole

    whole()
    return main


def main(asked: socket.socket) -> None:
    """Fork whenever asked; returns in each fork, ready to be the program."""
    tests = os.getppid()
    while True:
        message, files, _, _ = socket.recv_fds(asked, MESSAGE_BYTES_MAX, len(STREAMS) + 1)
        if not message:
            sys.exit()
        if middle := os.fork():
            os.waitpid(middle, 0)
            for file in files:
                os.close(file)
            continue
        if os.fork():
            os._exit(0)  # so that the tests, who adopt orphans, are the parent
        arguments, environment, directory = json.loads(message)
        become(arguments, environment, directory, files, tests)
        return


def become(
    arguments: list[str],
    environment: dict[str, str],
    directory: str,
    files: list[int],
    tests: int,
) -> None:
    """Be a process as if the tests had started it."""
    while os.getppid() != tests:
        time.sleep(POLL_S)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    sys.argv[1:] = arguments
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    *streams, told = files
    for number, file in enumerate(streams):
        os.dup2(file, number)
    os.write(told, b"%d" % os.getpid())
    for file in files:
        os.close(file)


if __name__ == "__main__":
    program = {"commissaire": commissaire, "commctl": commctl}[sys.argv[2]]()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        main(asked)
    program()
