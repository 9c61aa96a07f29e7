"""Checks every host that is set up, again and again, so that its status stays true.

A check that finds nothing new leaves a heartbeat (`last_check`) and no event. Facts that changed
are an event; so is the failure of a host that did not answer so many checks in a row. From then
on the investigator asks it, until it answers and is here again. Hosts that an operation works on
are left to it. Nothing has to be remembered over a restart: who is watched is in the read model.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain import host as events
from domain.event import Recorded
from domain.host import READY, FailureKind, Host
from domain.log.engine import PersistenceError
from domain.log.follower import Follower
from domain.refusal import Refusal
from runners.hosts.heartbeats import Heartbeats
from runners.hosts.outcomes import (
    HostKeyChanged,
    HostOutcomes,
    HostUnusable,
    LocalFailure,
    NoLongerOurs,
    Probe,
    retry_until_available,
)
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.work_queue import Priority, Requeue, WorkQueue

ACTOR = "runner:watcher"
SOONEST = 0.9
"""Checks are this share of the interval apart, or more, at random: what began together spreads."""

LANE = Priority.REQUESTED
"""All checks are alike, and may have all places."""


class Watched(Protocol):
    """What the log says of the hosts that are set up."""

    async def settled(self) -> Sequence[str]:
        """The addresses of all that are set up and have not failed."""
        ...

    async def load(self, address: str) -> Host:
        """One host as the log has it now."""
        ...

    async def occupied(self, address: str) -> bool:
        """Whether an operation works on it: it may be away, and is not to be called failed."""
        ...


@dataclass
class Misses:
    """Checks in a row that a host did not answer, since it was registered."""

    incarnation: int
    count: int = 0


class Watcher:
    """The process manager.

    Each host is checked once in `interval_s`, `parallel` at once; `misses_max` checks in a row
    that find no answer fail it. `now()` gives the time for events and heartbeats.
    """

    def __init__(
        self,
        outcomes: HostOutcomes,
        hosts: Watched,
        look: Probe,
        heartbeats: Heartbeats,
        *,
        interval_s: float,
        parallel: int,
        misses_max: int,
        now: Callable[[], str],
        chance: random.Random,
        on_defect: Callable[[str, Exception], None],
        clock: Callable[[], float] = time.monotonic,
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._outcomes = outcomes
        self._hosts = hosts
        self._look = look
        self._heartbeats = heartbeats
        self._interval_s = interval_s
        self._misses_max = misses_max
        self._now = now
        self._chance = chance
        self._on_defect = on_defect
        self._clock = clock
        self._ownership = ownership
        self._misses: dict[str, Misses] = {}
        self._queue = WorkQueue(self._check, parallel)

    @property
    def watched(self) -> int:
        """How many hosts are checked."""
        return len(self._queue)

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        told = self._ownership.subscribe(self._take_over, self._drop)
        async with self._queue.running(), self._heartbeats.running(), told:
            async for batch in follower.batches():
                for recorded in batch:
                    self._notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin no check, and let those that run come to an end, `timeout_s` at most."""
        await self._queue.drain(timeout_s)

    async def _take_over(self, shards: ShardSet) -> None:
        for address in await retry_until_available(self._hosts.settled):
            if address in shards and self._ownership.holds(address):
                self._queue.enqueue_after(self._interval_s * self._chance.random(), address, LANE)

    def _drop(self, shards: ShardSet) -> None:
        self._queue.forget_those(shards)
        self._misses = {address: m for address, m in self._misses.items() if address not in shards}

    def _notice(self, recorded: Recorded) -> None:
        address = recorded.event.originator_id.partition("/")[2]
        if not self._ownership.holds(address):
            return
        match recorded.event:
            case events.Bootstrapped():
                self._watch(address)
            case events.Recovered(status=status) if status in READY:
                self._watch(address)
            case events.Failed() | events.Removed():
                self._misses.pop(address, None)
                self._queue.forget(address)
            case _:
                pass  # it is watched, or not, as before

    def _watch(self, address: str) -> None:
        self._queue.enqueue_after(self._pause_s(), address, LANE)

    async def _check(self, address: str) -> Requeue | None:
        """One tick: load, look, record, and say when to check again; `None` where it is over."""
        begun = self._clock()
        try:
            host = await self._hosts.load(address)
            if host.status not in READY:
                return None
            if not await self._hosts.occupied(address):
                await self._tick(host)
        # The log is away, or went on without us: what was found is found again.
        except (NoLongerOurs, LocalFailure, Refusal, PersistenceError):
            return Requeue(self._interval_s * self._chance.random(), LANE)
        taken = self._clock() - begun
        return Requeue(max(0.0, self._pause_s() - taken), LANE)

    async def _tick(self, host: Host) -> None:
        try:
            facts = await self._look(host, self._outcomes.trust(host))
        except HostKeyChanged as other:
            await self._outcomes.refuse_key(host, other)
            return
        except HostUnusable as failed:
            await self._miss(host, failed.kind, failed.reason)
            return
        except LocalFailure as ours:
            self._on_defect(host.name, ours)
            raise
        except (NoLongerOurs, Refusal, PersistenceError):
            raise
        except Exception as defect:  # noqa: BLE001 - of one host, and not to be the end of all
            self._on_defect(host.name, defect)
            reason = f"The check broke off ({type(defect).__name__}): the service's log tells more."
            await self._miss(host, "setup", reason)
            return
        self._misses.pop(host.name, None)
        if facts != host.facts:
            await self._outcomes.settle(host, facts)
        self._heartbeats.seen(host.name, self._now())

    async def _miss(self, host: Host, kind: FailureKind, reason: str) -> None:
        """Count it, and fail the host when it was the last that is borne."""
        if await self._hosts.occupied(host.name):  # an operation came meanwhile: it may be its work
            return
        misses = self._misses.get(host.name)
        if misses is None or misses.incarnation != host.incarnation:
            misses = self._misses[host.name] = Misses(host.incarnation)
        misses.count += 1
        if misses.count >= self._misses_max:
            await self._outcomes.fail(host, kind, reason)

    def _pause_s(self) -> float:
        return self._interval_s * self._chance.uniform(SOONEST, 1.0)
