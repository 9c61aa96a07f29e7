"""Schedules on a real log: two processes that both look, each by a clock of its own."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from domain.commands import fleet_commands, operation_commands
from domain.event import Act, shifted
from domain.log.mapper import to_event
from domain.log.recorder import entries
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import unavailable
from domain.timed_id import timed_id
from projections.planning import schedules
from projections.planning.schedules import Timing
from projections.reads import reads
from runners.planning.scheduler import LOOK_EVERY_S, PREFIX, Scheduler
from tests.support.stores import ACT, Store, done

LIMIT_S = 60.0
KEY = f"{PREFIX}nightly"
UPGRADE = {"kind": "upgrade", "cluster": "web"}
DUE = "2026-01-03T02:00:00.000000"


class Process:
    """One of several that look at the same schedules, without any lease: at worst all do."""

    def __init__(self, store: Store, opened: ExitStack) -> None:
        engine = store.another_engine()
        self.writer: Writer = opened.enter_context(store.writer(engine))
        self.reads = reads(engine)
        opened.callback(self.reads.close)
        self.clock = ACT.at
        self.refusal: Exception | None = None
        self.scheduler = Scheduler(self, self, now=lambda: self.clock, new_id=timed_id)

    async def schedules(self) -> list[str]:
        return await self.reads.fresh(schedules.names)

    async def timing(self, name: str) -> Timing | None:
        return await self.reads.fresh(schedules.timing, name)

    async def perform(self, act: Act, command: Callable[[Unit], Any]) -> Any:
        if self.refusal is not None:
            raise self.refusal
        return await self.writer.perform(act, command)


class Fleet:
    """A cluster, a schedule of it, and two processes."""

    def __init__(self, store: Store, opened: ExitStack) -> None:
        self.store = store
        self.processes = [Process(store, opened) for _ in range(2)]
        self.writer = self.processes[0].writer
        self.ends = True
        done(self.writer, fleet_commands.create_cluster, "web", "default", "")

    def define(self, cron: str = "0 2 * * *") -> None:
        done(self.writer, lambda unit: unit.schedule("nightly").define(cron, "UTC", dict(UPGRADE)))

    def set_clocks(self, at: str) -> None:
        for process in self.processes:
            process.clock = at

    async def look(self) -> None:
        """All of them, at once."""
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*(one.scheduler.tick(KEY) for one in self.processes))
            await self.writer.perform(ACT, self._end_operation)

    def _end_operation(self, unit: Unit) -> None:
        """It has no hosts, and nobody but this test drives it."""
        if self.ends and (name := unit.cluster("web").operation):
            operation_commands.advance(unit, name)

    def told(self, *topics: str) -> list[Any]:
        """What the log says of this."""
        with self.store.engine.snapshot() as tx:
            found = [entry.stored for entry in entries(tx, 0, 1_000_000)]
        return [to_event(stored) for stored in found if stored.topic in topics]


@pytest.fixture
def opened() -> Any:
    with ExitStack() as stack:
        yield stack


async def test_what_is_due_begins_one_operation_whoever_looks_and_however_often(
    store: Store, opened: ExitStack
) -> None:
    fleet = Fleet(store, opened)
    fleet.define()
    await fleet.look()
    assert fleet.told("schedule.fired") == []
    for day in range(5):
        fleet.set_clocks(shifted(DUE, day * 86_400))
        for _ in range(3):
            await fleet.look()
    fired = fleet.told("schedule.fired")
    assert [event.due for event in fired] == [shifted(DUE, day * 86_400) for day in range(5)]
    begun = fleet.told("operation.started")
    assert [event.originator_id for event in begun] == [f"operation/{e.operation}" for e in fired]
    assert {(event.actor, event.correlation) for event in begun} == {("runner:schedules", KEY)}
    store.must_be_consistent()


async def test_clocks_that_jump_begin_nothing_twice(store: Store, opened: ExitStack) -> None:
    fleet = Fleet(store, opened)
    fleet.define()
    first, second = fleet.processes
    for offset in (0.0, 5.0, -5.0, -4000.0, 10.0, 86_400.0, 0.0, 86_400.0, 86_405.0):
        first.clock, second.clock = shifted(DUE, offset), shifted(DUE, offset / 2)
        await fleet.look()
        await fleet.look()
    counts = Counter(event.due for event in fleet.told("schedule.fired"))
    assert counts == {DUE: 1, shifted(DUE, 86_400): 1}
    assert len(fleet.told("operation.started")) == 2


async def test_a_service_that_was_down_tells_what_it_missed_and_begins_nothing(
    store: Store, opened: ExitStack
) -> None:
    fleet = Fleet(store, opened)
    fleet.define()
    fleet.set_clocks(shifted(DUE, 2 * 86_400 + 3600))
    await fleet.look()
    missed = fleet.told("schedule.missed")
    assert [(event.first, event.due, event.count) for event in missed] == [
        (DUE, shifted(DUE, 2 * 86_400), 3)
    ]
    assert fleet.told("schedule.fired", "operation.started") == []
    record = await fleet.processes[0].reads.fresh(
        schedules.schedule, "nightly", fleet.processes[0].clock
    )
    assert record is not None
    assert b'"outcome":"missed"' in record


async def test_what_cannot_begin_is_told_and_the_next_firing_begins(
    store: Store, opened: ExitStack
) -> None:
    fleet = Fleet(store, opened)
    fleet.define()
    done(fleet.writer, fleet_commands.remove_cluster, "web")
    fleet.set_clocks(DUE)
    await fleet.look()
    await fleet.look()
    (told,) = fleet.told("schedule.not_begun")
    assert (told.due, told.reason) == (DUE, "There is no cluster web: create it with PUT first.")
    done(fleet.writer, fleet_commands.create_cluster, "web", "default", "")
    fleet.set_clocks(shifted(DUE, 86_400))
    await fleet.look()
    assert len(fleet.told("schedule.fired")) == 1


async def test_an_operation_that_is_still_in_process_at_the_next_firing_stays_one(
    sqlite_store: Store, opened: ExitStack
) -> None:
    fleet = Fleet(sqlite_store, opened)
    fleet.define()
    fleet.ends = False
    for day in range(3):
        fleet.set_clocks(shifted(DUE, day * 86_400))
        await fleet.look()
    (started,) = fleet.told("operation.started")
    running = started.originator_id.partition("/")[2]
    reasons = {event.reason for event in fleet.told("schedule.not_begun")}
    assert reasons == {f"The same operation is in process already: {running}."}
    assert len(fleet.told("schedule.not_begun")) == 2


async def test_a_log_that_is_away_at_the_firing_is_no_reason(
    sqlite_store: Store, opened: ExitStack
) -> None:
    fleet = Fleet(sqlite_store, opened)
    fleet.define()
    fleet.set_clocks(DUE)
    process = fleet.processes[0]
    process.refusal = unavailable("The database is away.")
    again = await process.scheduler._tick_or_repeat(KEY)
    assert again is not None
    process.refusal = None
    await process.scheduler._tick_or_repeat(KEY)
    assert fleet.told("schedule.not_begun") == []
    assert len(fleet.told("schedule.fired")) == 1


async def test_it_comes_back_when_the_next_is_due_and_looks_at_the_clock_meanwhile(
    sqlite_store: Store, opened: ExitStack
) -> None:
    fleet = Fleet(sqlite_store, opened)
    process = fleet.processes[0]
    assert await process.scheduler.tick(KEY) is None
    fleet.define()
    for before_s, wanted in ((3600.0, LOOK_EVERY_S), (7.0, 7.0), (0.0, 0.01)):
        process.clock = shifted(DUE, -before_s)
        again = await process.scheduler.tick(KEY)
        assert again is not None
        assert again.seconds == pytest.approx(wanted)
