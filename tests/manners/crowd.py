"""A crowd beside a test, and how good clients fare meanwhile."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.faults.client import Client
from tests.service import DIE_WITH_US, Service, wait_for

END_TIMEOUT_S = 60.0
GONE_TIMEOUT_S = 30.0
FILES_SLACK = 8


@dataclass
class Outcome:
    """What the crowd was told; filled when it has gone."""

    opened: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    dropped: int = 0
    leaks: list[str] = field(default_factory=list)


@contextmanager
def crowd(service: Service, kind: str, clients: int) -> Iterator[Outcome]:
    """Rude clients, all of whom have connected; afterwards none is connected any more."""
    before = open_files(service)
    secret = base64.b64encode(f"operator:{service.password}".encode()).decode()
    target = {"port": urlsplit(service.url).port, "authorization": f"Basic {secret}"}
    process = subprocess.Popen(
        [*DIE_WITH_US, sys.executable, "-m", "tests.manners", kind, str(clients)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    outcome = Outcome()
    try:
        process.stdin.write(json.dumps(target) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "all are there\n"
        yield outcome
        said, _ = process.communicate(timeout=END_TIMEOUT_S)
        told: dict[str, Any] = json.loads(said)
        outcome.opened, outcome.dropped = told["opened"], told["dropped"]
        outcome.statuses = {int(status): seen for status, seen in told["statuses"].items()}
        outcome.leaks = told["leaks"]
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: open_files(service) <= before + FILES_SLACK, GONE_TIMEOUT_S)


def open_files(service: Service) -> int:
    """How many files and connections the service has open."""
    return len(list(Path(f"/proc/{service.pid}/fd").iterdir()))


class Pace(NamedTuple):
    """The p99 of reads and of changes, in seconds."""

    reads_s: float
    changes_s: float


class GoodClients:
    """They read a cluster and create others, one request at a time."""

    def __init__(self, service: Service) -> None:
        self._client = Client(service)
        self._names = (f"good{number}" for number in count())
        assert self._client.put("/cluster/read").status == 201
        self.changes = 1
        """How many events they have made."""

    def pace(self, requests: int, pause_s: float = 0.001) -> Pace:
        """So many reads and as many changes; each must succeed."""
        reads, changes = [], []
        for _ in range(requests):
            began = time.perf_counter()
            assert self._client.request("GET", "/cluster/read").status == 200
            between = time.perf_counter()
            assert self._client.put(f"/cluster/{next(self._names)}").status == 201
            reads.append(between - began)
            changes.append(time.perf_counter() - between)
            self.changes += 1
            time.sleep(pause_s)
        return Pace(percentile_99(reads), percentile_99(changes))


def percentile_99(times: list[float]) -> float:
    """Of every hundred, the slowest but one is as fast."""
    return sorted(times)[max(0, int(len(times) * 0.99) - 1)]
