"""When hosts are asked for updates, and what comes of it; the host is played by hand."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.aggregates.host import Host
from domain.aggregates.host_events import (
    Bootstrapped,
    CheckRequested,
    FactsGathered,
    Failed,
    Registered,
    UpdatesFound,
)
from domain.aggregates.operation_events import HostDone
from domain.event import Event, Recorded, shifted
from projections.beside_the_log.update_scans import FailedScan
from runners.hosts.outcomes import HostUnusable
from runners.leases.ownership import EVERYTHING
from runners.scheduling.work_queue import Priority, Requeue
from runners.updates import update_scanner
from runners.updates.update_scanner import INTERVAL_S, SETTLED_S, UpdateScanner
from tests.runners.operations.test_host_driver import ByHand

A = "10.0.0.1"
NOW = "2026-01-02T03:04:05.000006"
FACTS = FactsGathered("debian", "12", 1, 1, 1, "boot")


class Played:
    """One host, what is known of it, and what was recorded."""

    def __init__(self) -> None:
        self.host = Host(A)
        for event in (Registered(A, "root", 22, "SHA256:x"), FACTS, Bootstrapped()):
            self.host.emit(event)
        self.by_hand = ByHand()
        self.scanned_at = ""
        self.busy = False
        self.away = False
        self.found: list[UpdatesFound] = []
        self.failures: list[str] = []
        self.failed: list[FailedScan] = []
        self.ids = 0
        self.scanner = UpdateScanner(
            self,  # type: ignore[arg-type] # what it records is all that is looked at
            self,
            self.connect,
            now=lambda: NOW,
            new_id=self.new_id,
            chance=random.Random(1),
            on_failure=lambda _, reason: self.failures.append(reason),
        )

    def new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"

    async def scanned(self) -> list[tuple[str, str]]:
        return [(A, self.scanned_at)]

    async def load(self, address: str) -> Host:
        return self.host

    async def occupied(self, address: str) -> bool:
        return self.busy

    async def find_updates(self, host: Host, found: UpdatesFound) -> None:
        self.found.append(found)

    async def fail_updates(self, host: Host, failed: FailedScan) -> None:
        self.failed.append(failed)

    @asynccontextmanager
    async def connect(self, host: Host) -> AsyncIterator[ByHand]:
        if self.away:
            raise HostUnusable("unreachable", "It is off.")
        yield self.by_hand

    async def tick(self) -> Requeue | None:
        return await self.scanner.tick(A)

    def notice(self, event: Event, subject: str = f"host/{A}") -> None:
        object.__setattr__(event, "originator_id", subject)
        self.scanner.notice(Recorded(1, NOW, event))

    def due_in_s(self) -> float | None:
        """Of the only key that waits: 0 where it is due now."""
        queue: Any = self.scanner._queue
        if timer := queue._timers.get(A):
            return float(timer.when() - asyncio.get_running_loop().time())
        return 0.0 if any(A in due for due in queue._due) else None


@pytest.fixture
async def played() -> Played:
    return Played()


async def test_what_a_host_tells_is_recorded_and_cleared_and_asked_again_a_day_later(
    played: Played,
) -> None:
    played.by_hand.on_watch = [
        (b"", "running"),
        (b"commissaire-updates: 12 3\n", "ended"),
    ]
    again = await played.tick()
    assert again is not None
    assert played.found == [UpdatesFound(12, 3)]
    assert 0.9 * INTERVAL_S <= again.seconds <= INTERVAL_S
    assert played.by_hand.asked[0] == "start"
    assert played.by_hand.asked[-1] == "clear"
    assert (played.ids, played.failures) == (1, [])


async def test_no_answer_is_told_and_asked_for_later(played: Played) -> None:
    played.by_hand.output = b"commissaire: \xe2\x80\x9capt-get update\xe2\x80\x9d failed\n"
    again = await played.tick()
    assert again is not None
    assert 60.0 < again.seconds <= update_scanner.RETRY_S
    assert played.failures == ["“apt-get update” failed."]
    played.away = True
    await played.tick()
    assert played.failures[-1] == "It is off."
    assert played.failed == [
        FailedScan("command", "“apt-get update” failed."),
        FailedScan("unreachable", "It is off."),
    ]
    assert played.found == []


async def test_a_host_that_never_ends_is_stopped(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_scanner, "SESSION_S", 0.0)
    played.by_hand.on_watch = [(b"", "running")] * 5
    assert await played.tick() == Requeue(0.0, Priority.CONTINUED)
    monkeypatch.setattr(update_scanner, "LIMIT_S", 0.0)
    await played.tick()
    assert played.by_hand.asked[-2:] == ["cancel", "clear"]
    assert played.failures == ["It has not told within 0 minutes."]
    assert [failed.kind for failed in played.failed] == ["late"]


async def test_a_host_that_is_occupied_or_has_failed_is_not_asked(played: Played) -> None:
    played.busy = True
    again = await played.tick()
    assert again is not None
    assert again.seconds == update_scanner.OCCUPIED_S
    played.busy = False
    played.host.emit(Failed("unreachable", "It is off."))
    assert await played.tick() is not None
    played.host = Host(A)
    assert await played.tick() is None
    assert played.by_hand.asked == []


@pytest.mark.parametrize(
    ("scanned_at", "least_s", "most_s"),
    [
        ("", SETTLED_S, SETTLED_S + update_scanner.FIRST_S),
        (shifted(NOW, -INTERVAL_S * 2), SETTLED_S, SETTLED_S + update_scanner.FIRST_S),
        (shifted(NOW, -3600.0), INTERVAL_S - 3601.0, INTERVAL_S - 3599.0),
        (shifted(NOW, 30 * INTERVAL_S), INTERVAL_S - 1.0, INTERVAL_S),
    ],
)
async def test_a_restart_asks_nobody_again_within_the_day(
    played: Played, scanned_at: str, least_s: float, most_s: float
) -> None:
    played.scanned_at = scanned_at
    (due,) = await played.scanner.unfinished(EVERYTHING)
    assert due.after_s is not None
    assert least_s <= due.after_s <= most_s


@pytest.mark.parametrize(
    ("event", "subject", "lies_in"),
    [
        (CheckRequested(updates=True), f"host/{A}", lambda due: due == 0.0),
        (CheckRequested(), f"host/{A}", lambda due: due is None),
        (Bootstrapped(), f"host/{A}", lambda due: due >= SETTLED_S - 1),
        (HostDone(A, {"packages_changed": 3}), "operation/x", lambda due: 0 < due <= 300.0),
        (HostDone(A, {}), "operation/x", lambda due: due is None),
    ],
)
async def test_what_calls_for_a_question(
    played: Played, event: Event, subject: str, lies_in: Callable[[float | None], bool]
) -> None:
    played.notice(event, subject)
    assert lies_in(played.due_in_s())
