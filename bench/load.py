"""Load from `wrk`, which is no Python: it must not be what is measured."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench.figure import Sample
from bench.processes import LOAD_CPU, cpu_seconds, pinned

SCRIPTS = Path(__file__).parent / "scripts"
EXIT_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 20

RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
COUNT = re.compile(r"(\d+) requests in")
P99 = re.compile(r"99%\s+([0-9.]+)(us|ms|s)\b")
FAILURES = re.compile(r"Non-2xx or 3xx responses: \d+|Socket errors: .*")
TLS_CONNECTIONS = 16
MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
US_PER_S = 1e6


class Load(NamedTuple):
    """Who asks how: `script` is one of `scripts/`, which tells what its arguments are."""

    url: str
    connections: int
    seconds: float
    headers: Mapping[str, str]
    script: str = ""
    arguments: tuple[str, ...] = ()


class Answered(NamedTuple):
    """What came of a load."""

    requests: int
    per_second: float
    p99_ms: float


class Running:
    """A load that has begun."""

    def __init__(self, load: Load) -> None:
        self._load = load
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(load.seconds))}s"]
        command += ["--latency", f"--timeout={REQUEST_TIMEOUT_S}s"]
        for name, value in load.headers.items():
            command += ["-H", f"{name}: {value}"]
        if load.script:
            command += ["-s", str(SCRIPTS / load.script)]
        self._process = subprocess.Popen(
            pinned(LOAD_CPU, [*command, load.url, "--", *load.arguments]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait(self) -> Answered:
        """Until it is over; fails where one request was answered wrongly."""
        said, _ = self._process.communicate(timeout=self._load.seconds + EXIT_TIMEOUT_S)
        failures = FAILURES.search(said)
        count, rate, p99 = COUNT.search(said), RATE.search(said), P99.search(said)
        if failures or self._process.returncode or not (count and rate and p99):
            raise RuntimeError(f"wrk {self._load.url}: {failures[0] if failures else said}")
        return Answered(int(count[1]), float(rate[1]), float(p99[1]) * MS[p99[2]])


def answered(load: Load) -> Answered:
    """What comes of a load; fails where one request was answered wrongly."""
    return Running(load).wait()


def sample(pid: int, load: Load) -> Sample:
    """What a process makes of a load, and its CPU for each request."""
    begin = cpu_seconds(pid)
    done = answered(load)
    return Sample(done.per_second, (cpu_seconds(pid) - begin) * US_PER_S / done.requests)


def tls_sample(pid: int, url: str, path: str, certificate: Path, seconds: float) -> Sample:
    """The same over TLS with a client certificate (and its key, in one file)."""
    host, _, port = url.partition("://")[2].partition(":")
    command = [sys.executable, "-m", "bench.tls_client", host, port, path, str(certificate)]
    begin = cpu_seconds(pid)
    said = subprocess.run(
        pinned(LOAD_CPU, [*command, str(TLS_CONNECTIONS), str(seconds)]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=seconds + EXIT_TIMEOUT_S,
        check=True,
    ).stdout
    count, passed_s = map(float, said.split())
    return Sample(count / passed_s, (cpu_seconds(pid) - begin) * US_PER_S / count)
