"""The real systemd, as the first process of namespaces of its own; nothing of it outlives us."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from runners.ssh.command import Output
from tests.support.service import wait_for

HERE = Path(__file__).parent
SYSTEMD = Path("/lib/systemd/systemd")
STOP_TIMEOUT_S = 20.0
RUN_TIMEOUT_S = 60.0
NUMBERS = count(1)
MOUNTS = Path("/proc/self/mounts")


class CannotBoot(Exception):
    """This machine does not let us; the message says why."""


class Booted:
    """A machine that runs scripts as root, as a session of `runners.ssh.client` does.

    Its file system starts as that of `system`: this machine's, or what mmdebstrap has made.
    """

    def __init__(self, scratch: Path, system: Path) -> None:
        self._scratch = scratch
        self._system = system
        self._kept = scratch.parent / "var-lib"
        self._group = _control_group() / f"commissaire-test-{os.getpid()}-{next(NUMBERS)}"
        self._child: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        if os.geteuid() != 0 or not SYSTEMD.exists():
            raise CannotBoot("it takes root, and systemd")
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._kept.mkdir(exist_ok=True)
        self._group.mkdir()
        join = f'echo $$ >{self._group}/cgroup.procs && exec "$@"'
        apart = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child=KILL"]
        places = map(str, (self._scratch, self._kept, self._system))
        boot = ["/bin/sh", str(HERE / "booted.sh"), *places]
        with (self._scratch.parent / "systemd.log").open("wb") as log:
            self._child = subprocess.Popen(
                ["/bin/sh", "-c", join, "sh", "setpriv", "--pdeathsig", "KILL", "unshare", *apart,
                 *boot],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )  # fmt: skip
        try:
            self._first = wait_for(self._child_of_unshare)
            wait_for(self._is_up)
        except AssertionError:
            self._end()
            said = (self._scratch.parent / "systemd.log").read_text(errors="replace")
            raise CannotBoot(said[-1000:]) from None
        return self

    def _child_of_unshare(self) -> int:
        assert self._child is not None
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children")
        with contextlib.suppress(FileNotFoundError):
            return int((children.read_text().split() or ["0"])[0])
        raise AssertionError("it has ended")

    def _is_up(self) -> bool:
        asked = subprocess.run(
            self._inside("systemctl is-system-running"),
            capture_output=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        return asked.stdout.strip() in (b"running", b"degraded")

    def _inside(self, script: str) -> list[str]:
        root = f"/proc/{self._first}/root"
        spaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup"]
        enter = ["nsenter", "--target", str(self._first), *spaces, f"--root={root}", f"--wd={root}"]
        return [*enter, "/bin/sh", "-c", script]

    async def run(self, script: str) -> Output:
        """Run it to its end."""
        process = await asyncio.create_subprocess_exec(
            *self._inside(script),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(RUN_TIMEOUT_S):
            stdout, stderr = await process.communicate()
        return Output(process.returncode, "", stdout, stderr)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def starts_again(self) -> None:
        """It goes down by itself, and whoever keeps it starts it again: with the same /var/lib."""
        assert self._child is not None
        self._child.wait(STOP_TIMEOUT_S)
        self._end()
        self.__enter__()

    def _end(self) -> None:
        assert self._child is not None
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._first or self._child.pid, signal.SIGKILL)
        self._child.wait(STOP_TIMEOUT_S)
        wait_for(lambda: not (self._group / "cgroup.procs").read_text())
        for group in sorted(self._group.glob("**/"), reverse=True):
            group.rmdir()


@contextmanager
def booted(directory: Path, system: Path = Path("/")) -> Iterator[Booted]:
    """One for a `with` block; the test is skipped where it cannot be."""
    machine = Booted(directory / "scratch", system)
    try:
        machine.__enter__()
    except CannotBoot as why:
        pytest.skip(str(why))
    try:
        yield machine
    finally:
        machine.__exit__(None, None, None)


def _control_group() -> Path:
    """Where control groups of the second version are."""
    for line in MOUNTS.read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise CannotBoot("there are no control groups of version 2")
