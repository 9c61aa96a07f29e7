"""Probes every host that was registered, and sets it up, until it is active or a person must act.

A probe only reads, so one that a crash cut short is repeated; steps that set a host up are in the
log before they are sent (`runners/bootstrapping/bootstrap.py`).
"""

import math
import random
from collections.abc import AsyncIterator, Callable, Container, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from domain.aggregates import host_events as events
from domain.aggregates.host import READY, Host
from domain.aggregates.host_events import FactsGathered
from domain.commands.bootstrap import Wanted
from domain.event import Recorded
from runners.hosts.outcomes import (
    HostKeyChanged,
    HostOutcomes,
    HostUnusable,
    Probe,
    defects_as_failures,
)
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.backoff import Pauses
from runners.scheduling.process_manager import LOG_RETRY_S, Due, LocalFailure, ProcessManager
from runners.scheduling.work_queue import Priority, Requeue

ACTOR = "runner:investigator"
SLOW_PER_SLOT = 3
"""So many probes for each slot may wait for silent hosts, and leave their slots to others."""
UNSETTLED = ("investigating", "bootstrapping", "failed")


class Hosts(Protocol):
    """What the log says of hosts; see `runners.service.fleet_reader`."""

    async def unsettled(self) -> list[tuple[str, str]]: ...

    async def load(self, address: str) -> Host: ...


class Looks(Protocol):
    """What is kept of looks at hosts that failed; see `runners.hosts.failed_looks`."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """It is written while the context is open."""
        ...

    def tell(self, address: str, request: str, pause_s: float) -> None:
        """A look that was asked for at a time has failed; the next comes after a pause."""
        ...


class SetUp(Protocol):
    """Sets a host up for its cluster's network; see `runners.bootstrapping.bootstrap`."""

    async def __call__(self, host: Host, facts: FactsGathered, wanted: Wanted) -> Requeue | None:
        """Work for a while; None once the host is set up. Raises `HostUnusable`."""
        ...


ATTEMPT_PAUSES = Pauses(1.0, 10.0)
"""Between the attempts of one investigation: most passing failures end within seconds."""
LOG_PAUSES = Pauses(LOG_RETRY_S, 30.0)
"""Before a tick is repeated because the log could not take its result."""


@dataclass
class Tries:
    """Failed tries of one host since it was registered, or since its credentials changed."""

    incarnation: int
    attempts: int = 0
    """Probes of the investigation that is under way."""
    failures: int = 0
    """Investigations that failed; a host that has failed gets one attempt in each."""
    unrecorded: int = 0
    """Ticks in a row whose result the log did not take."""


class Investigator(ProcessManager):
    """Ticks for `parallel` hosts at once, beside three times as many that wait for silent hosts.

    A passing failure is repeated up to `attempts_max` times before a host counts as failed; after
    that with `pauses`, and where the host had been set up, once in `known_pause_max_s` at least,
    because its cluster misses it. Without `set_up` nothing is installed.
    """

    def __init__(
        self,
        outcomes: HostOutcomes,
        hosts: Hosts,
        probe: Probe,
        *,
        parallel: int,
        attempts_max: int,
        pauses: Pauses,
        chance: random.Random,
        on_defect: Callable[[str, Exception], None],
        known_pause_max_s: float = math.inf,
        attempt_pauses: Pauses = ATTEMPT_PAUSES,
        slow_per_slot: int = SLOW_PER_SLOT,
        ownership: Ownership = SINGLE_PROCESS,
        set_up: SetUp | None = None,
        looks: Looks | None = None,
    ) -> None:
        super().__init__(parallel, slow_max=slow_per_slot * parallel, ownership=ownership)
        self._outcomes = outcomes
        self._set_up = set_up
        self._hosts = hosts
        self._probe = probe
        self._attempts_max = attempts_max
        self._pauses = pauses
        self._attempt_pauses = attempt_pauses
        self._known_pause_max_s = known_pause_max_s
        self._chance = chance
        self._on_defect = on_defect
        self._looks = looks
        self._tries: dict[str, Tries] = {}

    @property
    def remembered(self) -> int:
        """Entries in memory: hosts that wait for a tick, and hosts that failed one."""
        return len(self._queue) + len(self._tries)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What is known of looks is written meanwhile."""
        async with self._looks.running() if self._looks else nullcontext(), super().running():
            yield

    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """Hosts that are not set up; those that failed at a random time within the first pause."""
        return [
            Due(address, self._first_pause_s(address) if failure else None)
            for address, failure in await self._hosts.unsettled()
            if self.owns(address, shards)
        ]

    def drop(self, keys: Container[str]) -> None:
        """Forget the failed tries as well."""
        super().drop(keys)
        self._tries = {address: t for address, t in self._tries.items() if address not in keys}

    def notice(self, recorded: Recorded) -> None:
        """Registered, changed and failed hosts are probed, and removed hosts forgotten."""
        address = recorded.event.originator_id.partition("/")[2]
        if not self._ownership.holds(address):
            return
        match recorded.event:
            case (
                events.Registered()
                | events.KeyApproved()
                | events.KeyForgotten()
                | events.CredentialsRotated()
                | events.CheckRequested()  # `tick` passes over a host that is set up
            ):
                self._tries.pop(address, None)
                self._queue.enqueue(address)
            case events.Failed(actor=actor) if actor != ACTOR:  # the watcher missed the host
                self._tries.pop(address, None)
                self._queue.enqueue_after(self._first_pause_s(address), address)
            case events.Removed():
                self._tries.pop(address, None)
                self._queue.forget(address)
            case _:
                pass  # nothing that calls for a probe

    async def tick(self, key: str) -> Requeue | None:
        """Probe a host, or go on setting it up."""
        host = await self._hosts.load(key)
        again = await self._work_on(host) if host.status in UNSETTLED else None
        if again is None:
            self._tries.pop(key, None)
        return again

    def repeat(self, key: str, unrecorded: Exception) -> Requeue:
        """With growing pauses; what this machine lacks is reported."""
        if isinstance(unrecorded, LocalFailure):
            self._on_defect(key, unrecorded)
        tries = self._tries.setdefault(key, Tries(0))
        tries.unrecorded += 1
        return Requeue(LOG_PAUSES.after(tries.unrecorded, self._chance), Priority.CONTINUED)

    async def _work_on(self, host: Host) -> Requeue | None:
        try:
            with defects_as_failures("look", partial(self._on_defect, host.name)):
                return await self._probe_or_set_up(host)
        except HostKeyChanged as changed:
            await self._outcomes.refuse_key(host, changed)
        except HostUnusable as failed:
            if failed.passing and (again := self._next_attempt(host)):
                return again
            await self._outcomes.fail(host, failed.kind, failed.reason)
        return self._after_failure(host)

    async def _probe_or_set_up(self, host: Host) -> Requeue | None:
        """Probe the host, unless that was done; then set it up for the time of one session."""
        if self._set_up is None:
            await self._outcomes.settle(host, await self._probe(host, self._outcomes.trust(host)))
            return None
        if host.status == "bootstrapping" and host.facts is not None:
            facts, wanted = host.facts, await self._outcomes.go_on_with_bootstrap(host)
        else:
            facts = await self._probe(host, self._outcomes.trust(host))
            wanted = await self._outcomes.begin_bootstrap(host, facts)
        again = await self._set_up(host, facts, wanted) if wanted else None
        if again is not None and host.name in self._tries:
            self._tries[host.name].attempts = 0  # the host answered all the while
        return again

    def _next_attempt(self, host: Host) -> Requeue | None:
        """When to repeat; None where the host has failed before, or had its attempts."""
        tries = self._tries_of(host)
        tries.attempts += 1
        if host.status == "failed" or tries.attempts >= self._attempts_max:
            return None
        return Requeue(self._attempt_pauses.after(tries.attempts, self._chance), Priority.CONTINUED)

    def _after_failure(self, host: Host) -> Requeue:
        tries = self._tries_of(host)
        tries.failures, tries.attempts, tries.unrecorded = tries.failures + 1, 0, 0
        pause_s = self._pauses.after(tries.failures, self._chance)
        if host.was in READY:
            pause_s = min(pause_s, self._known_pause_max_s)
        self._tell(host.name, host.check_requested_at, pause_s)
        return Requeue(pause_s, Priority.RETRY)

    def _tell(self, address: str, request: str, pause_s: float) -> None:
        """A failed host is looked at next after a pause; the last look has answered a request."""
        if self._looks is not None:
            self._looks.tell(address, request, pause_s)

    def _tries_of(self, host: Host) -> Tries:
        """The tries of this incarnation: an address may be another machine's by now."""
        tries = self._tries.get(host.name)
        if tries is None or tries.incarnation != host.incarnation:
            tries = self._tries[host.name] = Tries(host.incarnation)
        return tries

    def _first_pause_s(self, address: str) -> float:
        pause_s = self._pauses.first_s * self._chance.random()
        self._tell(address, "", pause_s)
        return pause_s
