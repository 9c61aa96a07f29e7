"""The processes that are compared, each on a CPU of its own, apart from the load's."""

import base64
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.service import Service, wait_for

CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
CPUCLOCK_SCHED = 2
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 20.0


def pinned(cpu: int, command: Sequence[str]) -> list[str]:
    """A command line that stays on one CPU, with all its threads."""
    return ["taskset", "--cpu-list", str(cpu), *command]


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken so far, in user and in kernel mode, all threads."""
    # What clock_getcpuclockid(3) makes of it; /proc counts in hundredths of a second only.
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def children_seconds() -> float:
    """CPU time of all our child processes that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def resident_mb(pid: int) -> float:
    """Memory of a process that is in RAM, in megabytes of a million bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(f"process {pid} has no VmRSS")


class Ours(Service):
    """The service, on its CPU, with its log of requests in a file."""

    module: str | None = None
    """What to run instead of the command line of the product; it takes the same arguments."""

    def command(self) -> list[str]:
        """The command line."""
        python, option, module, *arguments = super().command()
        return pinned(SERVER_CPU, [python, option, self.module or module, *arguments])

    @property
    def headers(self) -> dict[str, str]:
        """What every request has to bring."""
        pair = base64.b64encode(f"admin:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


class Bare:
    """`bench.anchors.bare_server` on the same CPU, with the bytes that it answers with."""

    def __init__(self, directory: Path, host: bytes = b"{}", hosts: bytes = b"[]") -> None:
        directory.mkdir(parents=True)
        (directory / "host").write_bytes(host)
        (directory / "hosts").write_bytes(hosts)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.anchors.bare_server", str(self._directory)]
        self._process = subprocess.Popen(
            pinned(SERVER_CPU, command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        wait_for(self._answers, START_TIMEOUT_S)
        return self

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/hosts").is_success
        except httpx.TransportError:
            return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(STOP_TIMEOUT_S)


def seconds_to_first_answer(service: Service) -> float:
    """How long a start takes, until the first list of hosts has been read."""
    begin = time.perf_counter()
    service.start()
    try:
        service.client.get("/clusters").raise_for_status()
        return time.perf_counter() - begin
    finally:
        service.stop()
