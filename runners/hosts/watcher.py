"""Checks every host that is set up in regular intervals, so that its status stays true.

Its connection to a host is kept for the next check, while nothing speaks against that
(`runners/ssh/kept_connections.py`).

A check that finds nothing new leaves a heartbeat (`last_check`) and no event. Changed facts are an
event; so is the failure of a host that did not answer several checks in a row, which the
investigator then probes until the host answers again. A host that an operation works on is not
checked.
"""

import random
import time
from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from domain.aggregates import host_events as events
from domain.aggregates.host import READY, Host
from domain.aggregates.host_events import FailureKind
from domain.event import Recorded
from runners.hosts.heartbeats import Heartbeats
from runners.hosts.outcomes import (
    HostKeyChanged,
    HostOutcomes,
    HostUnusable,
    Probe,
    defects_as_failures,
)
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.process_manager import Due, LocalFailure, ProcessManager
from runners.scheduling.work_queue import Priority, Requeue
from runners.ssh.kept_connections import KeptConnections

ACTOR = "runner:watcher"
SOONEST = 0.9
"""Checks are this share of the interval apart, or more, at random: so that they spread evenly."""

PRIORITY = Priority.REQUESTED
"""All checks are alike, and may have all slots."""


ENDS_CONNECTION = (
    events.Registered,
    events.Removed,
    events.CredentialsRotated,
    events.KeyApproved,
    events.KeyForgotten,
    events.KeyRefused,
    events.Failed,
    events.CheckRequested,  # whoever asks wants to know whether a log-in works
)
"""The connection to a host that such an event is about is closed, and not used again."""


class Hosts(Protocol):
    """What the log says of hosts; see `runners.service.fleet_reader`."""

    async def settled(self) -> Sequence[str]: ...

    async def load(self, address: str) -> Host: ...

    async def occupied(self, address: str) -> bool: ...


@dataclass
class Misses:
    """Checks in a row that a host did not answer, in one registration."""

    incarnation: int
    count: int = 0


class Watcher(ProcessManager):
    """Checks each host once in `interval_s`, `parallel` at once.

    `misses_max` checks in a row without an answer fail the host. `now()` gives the time for events
    and heartbeats.
    """

    def __init__(
        self,
        outcomes: HostOutcomes,
        hosts: Hosts,
        probe: Probe,
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
        kept: KeptConnections | None = None,
    ) -> None:
        super().__init__(parallel, ownership=ownership)
        self._outcomes = outcomes
        self._hosts = hosts
        self._probe = probe
        self._heartbeats = heartbeats
        self._interval_s = interval_s
        self._misses_max = misses_max
        self._now = now
        self._chance = chance
        self._on_defect = on_defect
        self._clock = clock
        self._kept = KeptConnections(0) if kept is None else kept
        self._misses: dict[str, Misses] = {}

    @property
    def watched(self) -> int:
        """How many hosts are checked."""
        return len(self._queue)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Heartbeats are written meanwhile, and connections kept."""
        try:
            async with self._heartbeats.running(), super().running():
                yield
        finally:
            self._kept.forget_all()

    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """All hosts that are set up, spread over one interval."""
        return [
            Due(address, self._interval_s * self._chance.random(), PRIORITY)
            for address in await self._hosts.settled()
            if self.owns(address, shards)
        ]

    def drop(self, keys: Container[str]) -> None:
        """Forget the missed checks as well, and close the connections that are kept."""
        super().drop(keys)
        self._kept.forget_those(keys)
        self._misses = {address: m for address, m in self._misses.items() if address not in keys}

    def notice(self, recorded: Recorded) -> None:
        """Hosts are checked once they are set up, until they fail or are removed."""
        address = recorded.event.originator_id.partition("/")[2]
        if isinstance(recorded.event, ENDS_CONNECTION):
            self._kept.forget(address)
        if not self._ownership.holds(address):
            return
        match recorded.event:
            case events.Bootstrapped():
                self._queue.enqueue_after(self._pause_s(), address, PRIORITY)
            case events.Recovered(status=status) if status in READY:
                self._queue.enqueue_after(self._pause_s(), address, PRIORITY)
            case events.CheckRequested():  # `tick` passes over a host that is not set up
                self._queue.enqueue(address)
            case events.Failed() | events.Removed():
                self._misses.pop(address, None)
                self._queue.forget(address)
            case _:
                pass  # whether the host is checked stays as before

    async def tick(self, key: str) -> Requeue | None:
        """Check a host; None where the host is not set up any more."""
        begun = self._clock()
        host = await self._hosts.load(key)
        if host.status not in READY:
            self._kept.forget(key)
            return None
        if await self._hosts.occupied(key):
            self._kept.forget(key)  # it may be booted, or taken away, before its next check
        else:
            await self._check(host)
        taken = self._clock() - begun
        return Requeue(max(0.0, self._pause_s() - taken), PRIORITY)

    def repeat(self, key: str, unrecorded: Exception) -> Requeue:
        """Within one interval; what this machine lacks is reported."""
        if isinstance(unrecorded, LocalFailure):
            self._on_defect(key, unrecorded)
        return Requeue(self._interval_s * self._chance.random(), PRIORITY)

    async def _check(self, host: Host) -> None:
        try:
            with defects_as_failures("check", partial(self._on_defect, host.name)):
                facts = await self._probe(host, self._outcomes.trust(host))
        except HostKeyChanged as changed:
            await self._outcomes.refuse_key(host, changed)
        except HostUnusable as failed:
            await self._miss(host, failed.kind, failed.reason)
        else:
            self._misses.pop(host.name, None)
            if host.is_news(facts, self._now()):
                await self._outcomes.settle(host, facts)
            self._heartbeats.seen(host.name, self._now())

    async def _miss(self, host: Host, kind: FailureKind, reason: str) -> None:
        """Count a check without an answer; the last one allowed fails the host."""
        if await self._hosts.occupied(host.name):  # an operation has begun, and may be the cause
            return
        misses = self._misses.get(host.name)
        if misses is None or misses.incarnation != host.incarnation:
            misses = self._misses[host.name] = Misses(host.incarnation)
        misses.count += 1
        if misses.count >= self._misses_max:
            await self._outcomes.fail(host, kind, reason)

    def _pause_s(self) -> float:
        return self._interval_s * self._chance.uniform(SOONEST, 1.0)
