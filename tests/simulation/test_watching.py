"""The watcher in virtual time: each host once in an interval, spread evenly, so many at once."""

import asyncio
import random
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsGathered
from domain.log.follower import Follower
from runners.hosts import watcher
from runners.hosts.heartbeats import Heartbeats
from runners.hosts.outcomes import HostOutcomes
from runners.hosts.watcher import SOONEST, Watcher
from tests.domain.aggregates.test_operations import settle_members
from tests.simulation.clock import VirtualLoop
from tests.simulation.log import PlayedLog, PlayedUnit

HOSTS = 1200
INTERVAL_S = 60.0
INTERVALS = 5
PARALLEL = 16
LOOK_S = 0.3
SLACK_S = 1.0


class Fleet:
    """Hosts that answer a look after a moment; and when they were looked at."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.unit = PlayedUnit()
        self.addresses = [f"10.{n // 250}.0.{n % 250 + 1}" for n in range(HOSTS)]
        settle_members(self.unit, self.addresses)
        self.log = PlayedLog(self.unit, self._nothing)
        self.looks: dict[str, list[float]] = defaultdict(list)
        self.under_way = self.most = 0
        self.beats: dict[str, str] = {}

    async def _nothing(self) -> None:
        pass

    async def settled(self) -> list[str]:
        return self.addresses

    async def load(self, address: str) -> Host:
        return self.unit.hosts[address]

    async def occupied(self, address: str) -> bool:
        return False

    async def look(self, host: Host, trust: Any) -> FactsGathered:
        self.looks[host.name].append(self._loop.time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(LOOK_S)
        self.under_way -= 1
        assert host.facts is not None
        return host.facts

    def keep(self, tx: Any, seen: Any) -> None:
        self.beats.update(seen)


async def watch(loop: VirtualLoop, fleet: Fleet) -> None:
    """For some intervals."""
    watching = Watcher(
        HostOutcomes(fleet.log, watcher.ACTOR, loop.now),  # type: ignore[arg-type]
        fleet,
        fleet.look,
        Heartbeats(fleet.log, fleet.keep, watcher.ACTOR, loop.now),  # type: ignore[arg-type]
        interval_s=INTERVAL_S,
        parallel=PARALLEL,
        misses_max=3,
        now=loop.now,
        chance=random.Random(5),
        on_defect=lambda _, error: None,
        clock=loop.time,
    )
    running = asyncio.create_task(watching.run(Follower(0, fleet.log.after)))
    await asyncio.sleep(INTERVAL_S * INTERVALS)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_each_host_is_checked_once_in_an_interval_evenly_spread_and_within_the_limit() -> None:
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        fleet = Fleet(loop)
        loop.run_until_complete(watch(loop, fleet))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert fleet.log.entries == [], "nothing new is no event"
    assert set(fleet.beats) == set(fleet.addresses)
    assert 1 < fleet.most <= PARALLEL
    for times in fleet.looks.values():
        assert times[0] <= INTERVAL_S + SLACK_S
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert len(gaps) >= INTERVALS - 2
        assert all(SOONEST * INTERVAL_S - SLACK_S <= gap <= INTERVAL_S + SLACK_S for gap in gaps)
    in_each_second = Counter(int(time) for times in fleet.looks.values() for time in times)
    even = HOSTS / INTERVAL_S
    assert max(in_each_second.values()) < 3 * even, "no storms"
    assert all(in_each_second[second] > 0 for second in range(int(INTERVAL_S * (INTERVALS - 1))))
    lags = {times[1] - times[0] for times in fleet.looks.values()}
    assert len(lags) > HOSTS / 2, "what began together spreads"
