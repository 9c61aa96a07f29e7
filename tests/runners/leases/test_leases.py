"""Leases by a played clock: never two hold the same, and what is nobody's is soon somebody's."""

import asyncio
import random
from collections.abc import Callable, Iterator
from itertools import count
from math import inf
from typing import Any

import pytest

from domain.log.engine import OperationalError
from domain.refusal import Refusal
from runners.leases.leases import LOOK_EVERY_S, MARGIN_SHARE, Leases
from runners.leases.ownership import EVERYTHING, SHARDS, ShardSet, shard_of
from tests.runners.leases.played_leases import PlayedTable
from tests.simulation.log import PlayedUnit
from tests.simulation.several.conductor import Conductor, ProcessLoop

LEASE_S = 10.0
NUMBERS = count()
DRIFT_MOST = 0.01
"""Clocks of two machines go so differently at most; real ones a hundredth of that."""


class Process:
    """A process that has leases and nothing else."""

    def __init__(self, stage: "Stage", name: str) -> None:
        self.stage = stage
        self.name = name
        self.cut = False
        self.slow_s = 0.0
        self.rate = 1.0
        self.parts: list[ShardSet] = []
        self.mine: set[int] = set()
        self.lines: list[str] = []
        self.leases = Leases(
            stage.table.seen_from(self._way),
            LEASE_S,
            log=lambda event, level="info", **fields: self.lines.append(event),
            clock=lambda: 1000.0 + stage.conductor.clock.seconds * self.rate,
            dead=lambda identity: False,
            new_name=lambda: f"{name}/{next(NUMBERS)}",
        )
        self.loop: ProcessLoop = stage.conductor.begin(self._live())

    async def _live(self) -> None:
        async with self.leases.subscribe(self._gained, self._lost):
            await self.leases.start()
            await self.leases.run()

    async def _gained(self, part: ShardSet) -> None:
        self.parts.append(part)
        await asyncio.sleep(0.3)  # loading takes a moment
        self.mine |= {shard for shard in part.shards if self.holds(shard)}

    def _lost(self, part: ShardSet) -> None:
        self.mine -= part.shards

    async def _way(self) -> None:
        await asyncio.sleep(0.001 + self.stage.chance.uniform(0.0, self.slow_s))
        if self.cut or self.loop.killed:
            raise OperationalError("it is away")

    def holds(self, shard: int) -> bool:
        """Whether it believes so."""
        return self.leases.holds(KEYS[shard])


class Stage:
    """Processes on one table."""

    def __init__(self, seed: int = 1) -> None:
        self.chance = random.Random(seed)
        self.conductor = Conductor()
        self.table = PlayedTable(lambda: self.conductor.clock.seconds, LEASE_S)
        self.processes: list[Process] = []

    def begin(self, name: str = "") -> Process:
        """One more."""
        process = Process(self, name or f"p{len(self.processes)}")
        self.processes.append(process)
        return process

    def play(self, until: Callable[[], bool], limit_s: float = 600.0) -> float:
        """Until it is so, and nobody ever holds what another does; how long it took."""
        begin = self.conductor.clock.seconds

        def so() -> bool:
            for shard in range(SHARDS):
                holders = [process.name for process in self.alive if process.holds(shard)]
                assert len(holders) <= 1, f"{shard} is held by {holders}"
            return until()

        self.conductor.play(so, begin + limit_s)
        return self.conductor.clock.seconds - begin

    def play_for(self, seconds: float) -> None:
        """A while."""
        end = self.conductor.clock.seconds + seconds
        self.play(lambda: self.conductor.clock.seconds >= end)

    @property
    def alive(self) -> list[Process]:
        """Those that were not killed."""
        return [process for process in self.processes if not process.loop.killed]

    def all_held(self, *processes: Process) -> bool:
        """Whether these hold everything, each its share, and have been told so."""
        counts = [len(process.mine) for process in processes]
        return sum(counts) == SHARDS and max(counts) - min(counts) <= 1


def key_of(shard: int) -> str:
    """A key in this shard."""
    return next(key for n in range(100_000) if shard_of(key := f"host-{n}") == shard)


KEYS = [key_of(shard) for shard in range(SHARDS)]


@pytest.fixture
def stage() -> "Stage":
    return Stage()


@pytest.fixture(autouse=True)
def closed(stage: Stage) -> Iterator[None]:
    yield
    stage.conductor.close()


def test_one_process_holds_everything_at_once(stage: Stage) -> None:
    first = stage.begin()
    assert stage.play(lambda: stage.all_held(first)) < 1.0
    assert first.parts == [EVERYTHING]


def test_shares_follow_whoever_comes_and_goes(stage: Stage) -> None:
    first, second, third = stage.begin(), stage.begin(), stage.begin()
    assert stage.play(lambda: stage.all_held(first, second, third)) < 5.0
    stage.play_for(60.0)
    assert len(first.parts) <= 3, "nothing moves without a reason"
    second.loop.call_soon(lambda: [task.cancel() for task in asyncio.all_tasks(second.loop)])
    second.loop.next_at = 0.0
    assert stage.play(lambda: stage.all_held(first, third)) < 3.0


def test_a_process_that_resigns_leaves_all_to_the_others_for_good(stage: Stage) -> None:
    first, second = stage.begin(), stage.begin()
    stage.play(lambda: stage.all_held(first, second))
    first.leases.resign()
    assert stage.play(lambda: stage.all_held(second)) < 3.0
    stage.play_for(60.0)
    assert first.leases.held == 0
    assert second.leases.held == SHARDS


def test_what_a_dead_process_held_is_taken_over_within_seconds_of_its_lease(stage: Stage) -> None:
    first, second = stage.begin(), stage.begin()
    stage.play(lambda: stage.all_held(first, second))
    stage.conductor.kill(first.loop)
    took = stage.play(lambda: stage.all_held(second))
    assert LEASE_S - 2 * LOOK_EVERY_S <= took <= LEASE_S + 2 * LOOK_EVERY_S
    assert second.leases.tally.taken_over == SHARDS // 2


def test_a_process_that_wakes_up_holds_nothing_from_its_first_moment_on(stage: Stage) -> None:
    first, second = stage.begin(), stage.begin()
    stage.play(lambda: stage.all_held(first, second))
    shard = next(iter(first.mine))
    fenced = first.leases.fenced(KEYS[shard], lambda unit: "decided")
    first.loop.frozen_until = stage.conductor.clock.seconds + 30.0
    stage.play(lambda: stage.all_held(second))
    assert first.leases.left_s(KEYS[shard]) == 0
    assert not first.holds(shard)
    unit: Any = PlayedUnit()
    with pytest.raises(Refusal, match="Another process"):
        fenced(unit)
    stage.play(lambda: stage.all_held(first, second))
    assert "leases.lost" in first.lines
    assert first.leases.tally.lost == SHARDS // 2


@pytest.mark.parametrize("frozen_s", [1.0, 0.8 * LEASE_S])
def test_a_process_that_stood_still_for_less_than_its_lease_loses_nothing(
    stage: Stage, frozen_s: float
) -> None:
    first, second = stage.begin(), stage.begin()
    stage.play(lambda: stage.all_held(first, second))
    first.loop.frozen_until = stage.conductor.clock.seconds + frozen_s - LOOK_EVERY_S
    stage.play_for(60.0)
    assert first.leases.tally.lost == 0
    assert first.leases.held == SHARDS // 2


def test_a_process_that_is_cut_off_stops_before_its_lease_ends(stage: Stage) -> None:
    first = stage.begin()
    stage.play(lambda: stage.all_held(first))
    first.cut = True
    took = stage.play(lambda: not first.mine)
    usable_s = LEASE_S * (1 - MARGIN_SHARE)
    assert usable_s - 2 * LOOK_EVERY_S <= took <= usable_s + 0.1
    assert max(stage.table.until.values()) > stage.conductor.clock.seconds
    first.cut = False
    assert stage.play(lambda: stage.all_held(first)) < LEASE_S


def test_a_renewal_that_took_long_counts_from_when_it_was_asked_for(stage: Stage) -> None:
    first = stage.begin()
    stage.play(lambda: stage.all_held(first))
    first.slow_s = LEASE_S / 2
    for _ in range(200):
        stage.play_for(0.7)
        until = max(stage.table.until.values(), default=inf)
        left_s = first.leases.left_s(KEYS[0])
        assert left_s <= max(0.0, until - stage.conductor.clock.seconds - LEASE_S * MARGIN_SHARE)


def test_a_claim_whose_answer_was_lost_is_found(stage: Stage) -> None:
    first = stage.begin()
    stage.play(lambda: bool(first.leases.is_member))
    lost = 0
    way = first._way

    async def lose() -> None:
        nonlocal lost
        await way()
        if any(stage.table.holder.values()) and not lost:
            lost = 1
            raise OperationalError("the answer is lost")

    first.leases._table._way = lose  # type: ignore[attr-defined]
    stage.play(lambda: stage.all_held(first))
    assert lost


def test_a_dead_neighbour_is_not_waited_for(stage: Stage) -> None:
    first = stage.begin()
    stage.play(lambda: stage.all_held(first))
    second = stage.begin()
    second.leases._dead = lambda identity: first.loop.killed
    stage.play(lambda: stage.all_held(first, second))
    stage.conductor.kill(first.loop)
    assert stage.play(lambda: stage.all_held(second)) < 3 * LOOK_EVERY_S


def test_more_processes_than_shards_are_all_members(stage: Stage) -> None:
    crowd = [stage.begin() for _ in range(SHARDS + 3)]
    stage.play(lambda: sorted(p.leases.held for p in crowd)[:4] == [0, 0, 0, 1])
    assert all(process.leases.is_member for process in crowd)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_befalls_them_no_two_hold_the_same(seed: int) -> None:
    stage = Stage(seed)
    chance = stage.chance
    try:
        for _ in range(chance.randrange(2, 5)):
            stage.begin().rate = chance.uniform(1 - DRIFT_MOST, 1 + DRIFT_MOST)
        for _ in range(40):
            victim = chance.choice(stage.alive)
            match chance.randrange(6):
                case 0:
                    stage.conductor.kill(victim.loop)
                    stage.begin().rate = chance.uniform(1 - DRIFT_MOST, 1 + DRIFT_MOST)
                case 1 | 2:
                    now = stage.conductor.clock.seconds
                    victim.loop.frozen_until = now + chance.uniform(0.0, 3 * LEASE_S)
                case 3:
                    victim.cut = not victim.cut
                case _:
                    victim.slow_s = chance.choice([0.0, 0.1, 2.0, LEASE_S])
            stage.play_for(chance.uniform(0.0, LEASE_S))
        for process in stage.alive:
            process.cut, process.slow_s, process.loop.frozen_until = False, 0.0, 0.0
        stage.play(lambda: stage.all_held(*stage.alive))
    finally:
        stage.conductor.close()
