"""A crowd of rude clients beside a test, in a process of its own."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.support.service import DIE_WITH_US, Service, wait_for

END_TIMEOUT_S = 120.0
GONE_TIMEOUT_S = 30.0
FILES_SLACK = 8
"""Files that a service may have opened meanwhile for others."""


class Outcome(NamedTuple):
    """What the crowd was told so far, as `rude.Tally` has it."""

    opened: int
    statuses: dict[int, int]
    dropped: int
    leaks: list[str]


class Crowd:
    """Rude clients of one kind, all of whom have connected."""

    def __init__(self, service: Service, kind: str, clients: int) -> None:
        secret = base64.b64encode(f"operator:{service.password}".encode()).decode()
        target = {"port": urlsplit(service.url).port, "authorization": f"Basic {secret}"}
        self._process = subprocess.Popen(
            [*DIE_WITH_US, sys.executable, "-m", "tests.manners", kind, str(clients)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = self._ask(json.dumps(target))
        assert said == "all are there\n", said

    def outcome(self) -> Outcome:
        """What came of it until now."""
        told = json.loads(self._ask("and?"))
        statuses = {int(status): seen for status, seen in told["statuses"].items()}
        return Outcome(told["opened"], statuses, told["dropped"], told["leaks"])

    def leave(self) -> None:
        """All hang up."""
        try:
            self._process.communicate(timeout=END_TIMEOUT_S)
        finally:
            self._process.kill()
            self._process.communicate()

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def crowd(service: Service, kind: str, clients: int) -> Iterator[Crowd]:
    """A crowd for a while. Afterwards the service has nothing open of theirs any more."""
    before = open_files(service)
    rude = Crowd(service, kind, clients)
    try:
        yield rude
    finally:
        rude.leave()
    wait_for(lambda: open_files(service) <= before + FILES_SLACK, GONE_TIMEOUT_S)


def open_files(service: Service) -> int:
    """How many files and connections the service has open."""
    return len(list(Path(f"/proc/{service.pid}/fd").iterdir()))
