"""Good clients, and what must be so whatever rude ones did meanwhile."""

import base64
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import NamedTuple

from domain.log.recorder import head
from tests.faults.client import PRIVATE_KEY, Client
from tests.faults.models.whole import database_of
from tests.support.service import Service
from tests.support.stores import Store

PAUSE_S = 0.001
TRIES_MAX = 3


class Pace(NamedTuple):
    """The p99 of reads and of changes, in seconds."""

    reads_s: float
    changes_s: float


class GoodClients:
    """One that is connected all the time: it reads a cluster, and creates others."""

    _numbers = count()
    """So that no name comes twice, whoever asks for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._client = Client(service)
        assert self._client.put("/cluster/read").status == 201
        self.changes = 0
        """How many events they have made since."""

    def pace(self, requests: int, seconds: float = 0.0, *, again: bool = False) -> Pace:
        """So many reads and as many changes, or more in so long a time; each must succeed.

        `again`: on another connection, where one was closed while it was idle.
        """
        reads: list[float] = []
        changes: list[float] = []
        until = time.monotonic() + seconds
        while len(reads) < requests or time.monotonic() < until:
            began = time.perf_counter()
            assert self._ask("GET", "/cluster/read", again) == 200
            between = time.perf_counter()
            assert self._ask("PUT", f"/cluster/good{next(self._numbers)}", again) == 201
            reads.append(between - began)
            changes.append(time.perf_counter() - between)
            self.changes += 1
            time.sleep(PAUSE_S)  # good clients leave each other, and us, some time
        return Pace(percentile_99(reads), percentile_99(changes))

    def _ask(self, verb: str, path: str, again: bool) -> int:
        try:
            return self._client.request(verb, path).status
        except ConnectionError:
            if not again:
                raise
            return self._client.request(verb, path).status

    def newcomer_is_served(self) -> None:
        """Also somebody who has not been connected, though perhaps not at once.

        Between their connection and their request they may wait for a CPU so long that they are
        the one who has waited longest of all that the service has room for.
        """
        newcomer = Client(self._service)
        for _ in range(TRIES_MAX - 1):
            with suppress(ConnectionError):
                assert newcomer.request("GET", "/cluster/read").status == 200
                return
        assert newcomer.request("GET", "/cluster/read").status == 200


def percentile_99(times: list[float]) -> float:
    """One in a hundred is slower."""
    return sorted(times)[max(0, int(len(times) * 0.99) - 1)]


@contextmanager
def nothing_but_good_changes(service: Service, good: GoodClients) -> Iterator[None]:
    """Nothing is in the log that they did not ask for, and no secret in what the service says."""
    before = position(service) - good.changes
    begin = service.log.stat().st_size
    yield
    assert position(service) - good.changes == before
    must_tell_nothing(service.read_log(begin), service.password)


def must_tell_nothing(said: str, *secrets: str) -> None:
    """No stack trace, no defect, and none of these in any spelling."""
    assert "Traceback" not in said
    assert "request.failed" not in said
    assert "hidden" not in said
    pairs = [f"{user}:{secret}" for user in ("admin", "operator") for secret in secrets]
    for word in (*secrets, *(base64.b64encode(pair.encode()).decode() for pair in pairs)):
        assert word not in said
    assert PRIVATE_KEY.decode().splitlines()[1] not in said


def position(service: Service, database_url: str = "sqlite") -> int:
    """How many events are in the log, as of now."""
    with (
        ExitStack() as opened,
        Store(database_of(service, database_url), opened).engine.snapshot() as tx,
    ):
        return head(tx).position
