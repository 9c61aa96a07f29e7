"""Asks one source about the hosts that it owns."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from domain import investigation
from domain.event import Act
from domain.host import FactsSourced, Host
from domain.investigation import Subject
from domain.log.engine import PersistenceError
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal
from domain.source import Source as SourceOfLog
from runners.leases.ownership import EVERYTHING, SINGLE_PROCESS, Ownership
from runners.scheduling.protocols import ServiceLogWrite
from runners.scheduling.work_queue import Priority, Requeue, WorkQueue
from runners.sources.plugins import ConfiguredSource
from runners.sources.source import NoAnswer, checked

ACTOR = "runner:sources"

LOG_RETRY_S = 1.0
"""Pause before a question is repeated because the log could not be read or written."""

FIRST_PAUSE_S = 5.0
"""Pause after the first failure for a host; it doubles up to the cache time of the source."""

DOUBLINGS_MAX = 32

STOP_TIMEOUT_S = 0.5
"""How long the end of the service waits for answers; what is cut short is asked again."""


class Hosts(Protocol):
    """What the log says of hosts and their sources."""

    async def sourced(self) -> list[tuple[str, str]]:
        """Address and name of the source of every host that has one."""
        ...

    async def source(self, name: str) -> SourceOfLog:
        """One source as the log has it now."""
        ...

    async def load(self, address: str) -> Host:
        """One host as the log has it now."""
        ...


@dataclass
class Tally:
    """How it goes with a source since the start, for whoever measures."""

    hosts: int = 0
    """How many it owns now."""
    answers: int = 0
    failures: int = 0
    stale: bool = False


@dataclass(frozen=True)
class Failing:
    """Since when a source has only failed: by the loop's clock, and in `TIME_FORMAT`."""

    since_s: float
    since: str


class Asker:
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
        self.name = configured.name
        self.key = f"source/{configured.name}"
        self.tally = Tally()
        self._terms = configured.terms
        self._source = configured.source
        self._writer = writer
        self._hosts = hosts
        self._now = now
        self._chance = chance
        self._log = log
        self._ownership = ownership
        self._failing: Failing | None = None
        self._reasons: dict[str, tuple[str, int]] = {}  # by address: why it failed, how often
        self._told = ""  # the reason that the log has of this failing, so that it says it once
        self._answered_last = ""  # a host of which it has said something
        self._turning = asyncio.Lock()
        self.queue = WorkQueue(self._ask, configured.terms.parallel)

    async def start(self) -> None:
        """Learn from the log how it stands."""
        self.tally.stale = (await self._hosts.source(self.name)).stale

    def take(self, address: str) -> None:
        """This host is one of its hosts from now on."""
        self.tally.hosts += 1
        self.queue.enqueue(address)

    def forget(self, address: str) -> None:
        """This host is none of its hosts any more."""
        self.tally.hosts -= 1
        self.queue.forget(address)
        self._reasons.pop(address, None)
        if address == self._answered_last:
            self._answered_last = ""

    def drop(self) -> None:
        """Another process asks it from now on, about all of its hosts."""
        self.tally.hosts = 0
        self.queue.forget_those(EVERYTHING)
        self._reasons.clear()
        self._failing, self._told, self._answered_last = None, "", ""

    async def aclose(self) -> None:
        """Let the source close what it has open."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await close()
            except Exception as defect:  # noqa: BLE001 - of a plugin, and we are going anyway
                self._log("source.defect", "error", source=self.name, error=type(defect).__name__)

    async def _ask(self, address: str) -> Requeue | None:
        """One tick: load, ask, record, and say when to ask again."""
        try:
            host = await self._hosts.load(address)
            if host.registration.source != self.name:
                return None
            try:
                facts = await self._answer(address)
            except NoAnswer as failure:
                return await self._failed(address, str(failure))
            await self._answered(host, facts)
        except (Refusal, PersistenceError):  # the log is away
            return Requeue(LOG_RETRY_S, Priority.CONTINUED)
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
        self._told = ""
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
        if reason not in (before, self._told):
            self._log("source.failed", "warning", source=self.name, host=address, reason=reason)
            self._told = reason
        self._reasons[address] = (reason, failures + 1)
        pause = min(self._terms.cache_s, FIRST_PAUSE_S * 2.0 ** min(failures, DOUBLINGS_MAX))
        pause *= self._chance.uniform(0.75, 1.25)
        if self.tally.stale:
            return Requeue(pause, Priority.RETRY)
        left_s = failing.since_s + self._terms.stale_after_s - clock()
        if left_s > 0:  # ask once more when the time is up: the answer decides
            return Requeue(min(pause, left_s), Priority.RETRY)
        if self._answered_last and self._answered_last not in self._reasons:
            # Nobody has asked about a host that it had an answer for: this may be this host's
            # fault alone, and the source as good as ever.
            self.queue.enqueue(self._answered_last)
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
