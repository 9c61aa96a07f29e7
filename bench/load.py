"""Load from `wrk`, which is no Python: it must not be what is measured."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.processes import LOAD_CPU, pinned

SCRIPTS = Path(__file__).parent / "scripts"
EXIT_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 20

RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
FAILURES = re.compile(r"Non-2xx or 3xx responses: \d+|Socket errors: .*")


def requests_per_second(
    url: str,
    connections: int,
    seconds: float,
    headers: Mapping[str, str],
    script: str = "",
    *arguments: str,
) -> float:
    """How many requests were answered in a second; fails where one was answered wrongly.

    `script` is one of `scripts/`, which tells what its arguments are.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    command += [f"--timeout={REQUEST_TIMEOUT_S}s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    if script:
        command += ["-s", str(SCRIPTS / script)]
    done = subprocess.run(
        pinned(LOAD_CPU, [*command, url, "--", *arguments]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + EXIT_TIMEOUT_S,
    )
    failures, rate = FAILURES.search(done.stdout), RATE.search(done.stdout)
    if failures or not rate:
        raise RuntimeError(f"wrk {url}: {failures[0] if failures else done.stdout}")
    return float(rate[1])
