"""Asks one source about the hosts that it owns, in regular intervals, never while a client waits.

A question only reads, so one that was cut short is asked again.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Container, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from domain.aggregates import host_events as events
from domain.aggregates.host import Host
from domain.aggregates.host_events import FactsSourced
from domain.aggregates.source import Source as SourceOfLog
from domain.commands import investigation
from domain.commands.investigation import Subject
from domain.event import Act, Recorded
from domain.log.unit import Unit
from domain.log.writer import Writer
from runners.leases.ownership import EVERYTHING, SINGLE_PROCESS, Ownership, ShardSet
from runners.scheduling.backoff import Pauses
from runners.scheduling.process_manager import Due, ProcessManager
from runners.scheduling.protocols import ServiceLogWrite
from runners.scheduling.work_queue import Priority, Requeue
from runners.sources.plugins import ConfiguredSource
from runners.sources.source import NoAnswer, checked

ACTOR = "runner:sources"

FIRST_PAUSE_S = 5.0
"""Pause after the first failure for a host; it doubles up to the cache time of the source."""

STOP_TIMEOUT_S = 0.5
"""How long the end of the service waits for answers; questions cut short are asked again."""


class Hosts(Protocol):
    """What the log says of hosts and sources; see `runners.service.fleet_reader`."""

    async def sourced(self) -> list[tuple[str, str]]: ...

    async def source(self, name: str) -> SourceOfLog: ...

    async def load(self, address: str) -> Host: ...


@dataclass
class Tally:
    """Counts of one source since the start, for the metrics."""

    hosts: int = 0
    """Hosts that the source owns now."""
    answers: int = 0
    failures: int = 0
    stale: bool = False


@dataclass(frozen=True)
class Failing:
    """Since when a source has only failed: by the loop's clock, and in `TIME_FORMAT`."""

    since_s: float
    since: str


class SourcePoller(ProcessManager):
    """Asks one source about all its hosts, as many at once as its terms allow."""

    def __init__(
        self,
        configured: ConfiguredSource,
        writer: Writer,
        hosts: Hosts,
        *,
        now: Callable[[], str],
        chance: random.Random,
        log: ServiceLogWrite,
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        super().__init__(configured.terms.parallel, ownership=ownership)
        self.name = configured.name
        self.key = f"source/{configured.name}"
        self.tally = Tally()
        self._terms = configured.terms
        self._source = configured.source
        self._pauses = Pauses(FIRST_PAUSE_S, configured.terms.cache_s)
        self._writer = writer
        self._hosts = hosts
        self._now = now
        self._chance = chance
        self._log = log
        self._addresses: set[str] = set()
        self._reasons: dict[str, tuple[str, int]] = {}
        """By address: why the last question failed, and how many failed in a row."""
        self._failing: Failing | None = None
        self._reported = ""
        """The reason that the service log has of this failing, so that it is written once."""
        self._answered_last = ""
        """The host of the last good answer."""
        self._turning = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The source is closed at the end."""
        try:
            async with super().running():
                yield
        finally:
            await self._close()

    async def unfinished(self, shards: ShardSet) -> Iterable[Due]:
        """All hosts of the source, where its key is of these shards."""
        if self.key not in shards:
            return []
        stale = (await self._hosts.source(self.name)).stale
        sourced = await self._hosts.sourced()
        if not self._ownership.holds(self.key):
            return []
        self.tally.stale = stale
        ours = {address for address, name in sourced if name == self.name} - self._addresses
        self._addresses |= ours
        self.tally.hosts = len(self._addresses)
        return [Due(address) for address, _ in sourced if address in ours]

    def notice(self, recorded: Recorded) -> None:
        """Hosts of the source are asked about until they are removed."""
        address = recorded.event.originator_id.partition("/")[2]
        match recorded.event:
            case events.Registered(source=self.name) if address not in self._addresses:
                if self._ownership.holds(self.key):
                    self._addresses.add(address)
                    self._queue.enqueue(address)
            case events.Removed() if address in self._addresses:
                self._addresses.remove(address)
                self._queue.forget(address)
                self._reasons.pop(address, None)
                if address == self._answered_last:
                    self._answered_last = ""
            case _:
                pass  # nothing that calls for a question
        self.tally.hosts = len(self._addresses)

    def drop(self, keys: Container[str]) -> None:
        """Forget all hosts, where another process asks the source from now on."""
        if self.key in keys:
            super().drop(EVERYTHING)
            self._addresses.clear()
            self.tally.hosts = 0
            self._reasons.clear()
            self._failing, self._reported, self._answered_last = None, "", ""

    async def _close(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            try:
                # Not `asyncio.timeout`: in a task that is being cancelled, Python 3.11.2 (Debian
                # 12) raises CancelledError from it instead of TimeoutError.
                await asyncio.wait_for(close(), STOP_TIMEOUT_S)
            except Exception as defect:  # noqa: BLE001 - of a plugin, and we are going anyway
                self._log("source.defect", "error", source=self.name, error=type(defect).__name__)

    async def tick(self, key: str) -> Requeue | None:
        """Ask the source about a host, and record the answer."""
        host = await self._hosts.load(key)
        if host.registration.source != self.name:
            return None
        try:
            facts = await self._answer(key)
        except NoAnswer as failure:
            return await self._failed(key, str(failure))
        await self._answered(host, facts)
        return Requeue(self._terms.cache_s * self._chance.uniform(0.9, 1.1), Priority.CONTINUED)

    async def _answer(self, address: str) -> FactsSourced:
        """What the source says. Raises `NoAnswer`, whatever the source does."""
        limit = self._terms.timeout_s
        try:
            async with asyncio.timeout(limit):
                return checked(self.name, await self._source.facts(address))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise NoAnswer("It cancelled its own answer.") from None
        except TimeoutError:
            raise NoAnswer(f"It did not answer within {limit:g} seconds.") from None
        except NoAnswer:
            raise
        except Exception as defect:  # noqa: BLE001 - a plugin's, and not to be the end of all
            # Not its text, which may quote a secret.
            raise NoAnswer(f"It failed: {type(defect).__name__}.") from None

    async def _answered(self, host: Host, facts: FactsSourced) -> None:
        self.tally.answers += 1
        self._failing = None
        self._reported = ""
        self._answered_last = host.name
        self._reasons.pop(host.name, None)
        if host.would_change(facts):
            subject = Subject(host.name, host.incarnation)
            await self._record(
                Act(ACTOR, f"{host.id}@{host.incarnation}", self._now()),
                lambda unit: investigation.supply_facts(unit, subject, facts),
            )
        async with self._turning:
            if self.tally.stale:
                await self._record(self._act(), lambda unit: unit.source(self.name).come_back())
                self.tally.stale = False
                self._log("source.came_back", source=self.name)

    async def _failed(self, address: str, reason: str) -> Requeue:
        self.tally.failures += 1
        clock = asyncio.get_running_loop().time
        failing = self._failing = self._failing or Failing(clock(), self._now())
        before, failures = self._reasons.get(address, ("", 0))
        if reason not in (before, self._reported):
            self._log("source.failed", "warning", source=self.name, host=address, reason=reason)
            self._reported = reason
        self._reasons[address] = (reason, failures + 1)
        pause = self._pauses.after(failures + 1, self._chance)
        if self.tally.stale:
            return Requeue(pause, Priority.RETRY)
        left_s = failing.since_s + self._terms.stale_after_s - clock()
        if left_s > 0:  # ask once more when the time is up: the answer decides
            return Requeue(min(pause, left_s), Priority.RETRY)
        if self._answered_last and self._answered_last not in self._reasons:
            # Nobody has asked about a host that it had an answer for: this may be this host's
            # fault alone, and the source as good as ever.
            self._queue.enqueue(self._answered_last)
            return Requeue(min(pause, FIRST_PAUSE_S), Priority.RETRY)
        await self._became_stale(failing, reason)
        return Requeue(pause, Priority.RETRY)

    async def _became_stale(self, failing: Failing, reason: str) -> None:
        async with self._turning:
            # Meanwhile there may have been an answer, or another host that told.
            if self._failing is not failing or self.tally.stale:
                return
            since = failing.since
            await self._record(
                self._act(), lambda unit: unit.source(self.name).become_stale(since, reason)
            )
            self.tally.stale = True
            self._log(
                "source.became_stale", "warning", source=self.name, since=since, reason=reason
            )

    async def _record(self, act: Act, command: Callable[[Unit], None]) -> None:
        await self._writer.perform(act, self._ownership.fenced(self.key, command))

    def _act(self) -> Act:
        return Act(ACTOR, f"source/{self.name}", self._now())
