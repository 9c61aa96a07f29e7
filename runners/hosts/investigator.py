"""Looks at every host that was registered, until it is set up or a person must act.

The log is the memory: which hosts need a look is read from it at the start, and followed from
then on. A look only reads, so one that was cut short by a crash is simply done again; steps that
set a host up are in the log before they are sent (`runners/bootstrapping/bootstrap.py`).
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from domain import host as events
from domain.bootstrap import Wanted
from domain.event import Recorded
from domain.host import READY, FactsGathered, FailureKind, Host
from domain.log.engine import PersistenceError
from domain.log.follower import Follower
from domain.refusal import Refusal
from runners.hosts.outcomes import (
    LOG_RETRY_S,
    HostKeyChanged,
    HostOutcomes,
    HostUnusable,
    LocalFailure,
    NoLongerOurs,
    Probe,
    retry_until_available,
)
from runners.leases.ownership import SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.backoff import Pauses
from runners.scheduling.work_queue import Priority, Requeue, WorkQueue

ACTOR = "runner:investigator"
SLOW_PER_SLOT = 3
"""So many looks for each slot may wait for hosts that are silent; others have their slots then."""
UNSETTLED = ("investigating", "bootstrapping", "failed")


class Hosts(Protocol):
    """What the log says of hosts."""

    async def unsettled(self) -> list[tuple[str, str]]:
        """Address and kind of failure of every host that needs a look."""
        ...

    async def load(self, address: str) -> Host:
        """One host as the log has it now."""
        ...


class SetUp(Protocol):
    """Does to a host what its cluster's network wants; see `runners.bootstrapping.bootstrap`."""

    async def __call__(self, host: Host, facts: FactsGathered, wanted: Wanted) -> Requeue | None:
        """Go on for a while; None where the host is set up. Raises `HostUnusable`."""
        ...


ATTEMPT_PAUSES = Pauses(1.0, 10.0)
"""Between the attempts of one investigation: what passes by itself mostly does so in seconds."""
LOG_PAUSES = Pauses(LOG_RETRY_S, 30.0)
"""Before a look is repeated because the log could not take what it found."""


@dataclass
class Tries:
    """What has been in vain for one host, since it was registered or somebody changed something."""

    incarnation: int
    attempts: int = 0
    """Looks of the investigation that is under way."""
    failures: int = 0
    """Investigations that failed; a host that has failed gets one attempt in each."""
    unrecorded: int = 0
    """Looks in a row whose result the log did not take."""


class Investigator:
    """The process manager.

    `parallel` looks at once, beside three times as many that wait for silent hosts;
    `attempts_max` of them, where the failure may pass, before a host counts as failed; after that
    one at a time with `pauses`, of a host that was set up once `known_pause_max_s` at most: it is
    missed in its cluster. Without `set_up` nothing is installed.
    """

    def __init__(
        self,
        outcomes: HostOutcomes,
        hosts: Hosts,
        look: Probe,
        *,
        parallel: int,
        attempts_max: int,
        pauses: Pauses,
        chance: random.Random,
        on_defect: Callable[[str, Exception], None],
        known_pause_max_s: float = math.inf,
        attempt_pauses: Pauses = ATTEMPT_PAUSES,
        ownership: Ownership = SINGLE_PROCESS,
        set_up: SetUp | None = None,
    ) -> None:
        self._outcomes = outcomes
        self._set_up = set_up
        self._hosts = hosts
        self._look = look
        self._attempts_max = attempts_max
        self._pauses = pauses
        self._attempt_pauses = attempt_pauses
        self._known_pause_max_s = known_pause_max_s
        self._chance = chance
        self._on_defect = on_defect
        self._ownership = ownership
        self._tries: dict[str, Tries] = {}
        self._queue = WorkQueue(self._investigate, parallel, SLOW_PER_SLOT * parallel)

    @property
    def remembered(self) -> int:
        """Hosts that take memory: those that wait for a look, and those that failed one."""
        return len(self._queue) + len(self._tries)

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        async with self._queue.running(), self._ownership.subscribe(self._take_over, self._drop):
            async for batch in follower.batches():
                for recorded in batch:
                    self._notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin no look, and let those that run come to an end, `timeout_s` at most."""
        await self._queue.drain(timeout_s)

    async def _take_over(self, shards: ShardSet) -> None:
        for address, failure in await retry_until_available(self._hosts.unsettled):
            if address not in shards or not self._ownership.holds(address):
                continue
            if failure == "":
                self._queue.enqueue(address)
            else:
                self._queue.enqueue_after(self._pauses.first_s * self._chance.random(), address)

    def _drop(self, shards: ShardSet) -> None:
        self._queue.forget_those(shards)
        self._tries = {address: t for address, t in self._tries.items() if address not in shards}

    def _notice(self, recorded: Recorded) -> None:
        address = recorded.event.originator_id.partition("/")[2]
        if not self._ownership.holds(address):
            return
        match recorded.event:
            case (
                events.Registered()
                | events.KeyApproved()
                | events.KeyForgotten()
                | events.CredentialsRotated()
            ):
                self._tries.pop(address, None)
                self._queue.enqueue(address)
            case events.Failed(actor=actor) if actor != ACTOR:  # the watcher missed it
                self._tries.pop(address, None)
                self._queue.enqueue_after(self._pauses.first_s * self._chance.random(), address)
            case events.Removed():
                self._tries.pop(address, None)
                self._queue.forget(address)
            case _:
                pass  # nothing that calls for a look

    async def _investigate(self, address: str) -> Requeue | None:
        """One tick: load, look, record, and say when to look again."""
        try:
            host = await self._hosts.load(address)
            again = await self._tick(host) if host.status in UNSETTLED else None
        # The log is away, or went on without us: what was found is found again.
        except (NoLongerOurs, LocalFailure, Refusal, PersistenceError):
            tries = self._tries.setdefault(address, Tries(0))
            tries.unrecorded += 1
            return Requeue(LOG_PAUSES.after(tries.unrecorded, self._chance), Priority.CONTINUED)
        if again is None:
            self._tries.pop(address, None)
        return again

    async def _tick(self, host: Host) -> Requeue | None:
        """Come on with it, and record what was found; `None` where nothing is left to do."""
        try:
            return await self._come_on(host)
        except HostKeyChanged as other:
            await self._outcomes.refuse_key(host, other)
            return self._after_failure(host)
        except HostUnusable as failed:
            if failed.passing and (again := self._next_attempt(host)):
                return again
            return await self._fail(host, failed.kind, failed.reason)
        except LocalFailure as ours:
            self._on_defect(host.name, ours)
            raise
        except (NoLongerOurs, Refusal, PersistenceError):
            raise
        except Exception as defect:  # noqa: BLE001 - of one host, and not to be the end of all
            self._on_defect(host.name, defect)
            reason = f"The look broke off ({type(defect).__name__}): the service's log tells more."
            return await self._fail(host, "setup", reason)

    async def _come_on(self, host: Host) -> Requeue | None:
        """Look at it, unless that was done; then set it up, as far as one turn goes."""
        if self._set_up is None:
            await self._outcomes.settle(host, await self._look(host, self._outcomes.trust(host)))
            return None
        if host.status == "bootstrapping" and host.facts is not None:
            facts, wanted = host.facts, await self._outcomes.go_on_with_bootstrap(host)
        else:
            facts = await self._look(host, self._outcomes.trust(host))
            wanted = await self._outcomes.begin_bootstrap(host, facts)
        again = await self._set_up(host, facts, wanted) if wanted else None
        if again is not None and host.name in self._tries:
            self._tries[host.name].attempts = 0  # it answered all the while
        return again

    async def _fail(self, host: Host, kind: FailureKind, reason: str) -> Requeue:
        await self._outcomes.fail(host, kind, reason)
        return self._after_failure(host)

    def _next_attempt(self, host: Host) -> Requeue | None:
        """Ask again before calling it failed; `None` where it has failed, or had its attempts."""
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
        return Requeue(pause_s, Priority.RETRY)

    def _tries_of(self, host: Host) -> Tries:
        """Those of this incarnation: an address may be another machine's by now."""
        tries = self._tries.get(host.name)
        if tries is None or tries.incarnation != host.incarnation:
            tries = self._tries[host.name] = Tries(host.incarnation)
        return tries
