"""Asks sources about the hosts that they own, now and again, and never while a client waits.

The log is the memory: which hosts have a source, and what it said last, is read from there. A
question only reads, so one that was cut short is simply asked again.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from eventsourcing.persistence import PersistenceError

from domain import host as events
from domain import investigation
from domain.event import Act, Recorded
from domain.host import FactsSourced, Host
from domain.investigation import Subject
from domain.log.follower import Follower
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal
from domain.source import Source as SourceOfLog
from runners.claims import ALONE, EVERYTHING, Claims, Part
from runners.log_lines import Level
from runners.source import NoAnswer, checked
from runners.source_plugins import ConfiguredSource
from runners.wakeups import Again, Lane, Wakeups

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


class Log(Protocol):
    """Where log lines go."""

    def __call__(self, event: str, /, level: Level = "info", **fields: object) -> None:
        """Write a line: what happened, and the fields that tell more."""
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
        log: Log,
        claims: Claims = ALONE,
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
        self._claims = claims
        self._failing: Failing | None = None
        self._reasons: dict[str, tuple[str, int]] = {}  # by address: why it failed, how often
        self._told = ""  # the reason that the log has of this failing, so that it says it once
        self._answered_last = ""  # a host of which it has said something
        self._turning = asyncio.Lock()
        self.wakeups = Wakeups(self._ask, configured.terms.parallel)

    async def start(self) -> None:
        """Learn from the log how it stands."""
        self.tally.stale = (await self._hosts.source(self.name)).stale

    def take(self, address: str) -> None:
        """This host is one of its hosts from now on."""
        self.tally.hosts += 1
        self.wakeups.at_once(address)

    def forget(self, address: str) -> None:
        """This host is none of its hosts any more."""
        self.tally.hosts -= 1
        self.wakeups.forget(address)
        self._reasons.pop(address, None)
        if address == self._answered_last:
            self._answered_last = ""

    def drop(self) -> None:
        """Another process asks it from now on, about all of its hosts."""
        self.tally.hosts = 0
        self.wakeups.forget_those(EVERYTHING)
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

    async def _ask(self, address: str) -> Again | None:
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
            return Again(LOG_RETRY_S, Lane.UNFINISHED)
        return Again(self._terms.cache_s * self._chance.uniform(0.9, 1.1), Lane.UNFINISHED)

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

    async def _failed(self, address: str, reason: str) -> Again:
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
            return Again(pause, Lane.REPEATED)
        left_s = failing.since_s + self._terms.stale_after_s - clock()
        if left_s > 0:  # ask once more when the time is up: the answer decides
            return Again(min(pause, left_s), Lane.REPEATED)
        if self._answered_last and self._answered_last not in self._reasons:
            # Nobody has asked about a host that it had an answer for: this may be this host's
            # fault alone, and the source as good as ever.
            self.wakeups.at_once(self._answered_last)
            return Again(min(pause, FIRST_PAUSE_S), Lane.REPEATED)
        await self._became_stale(failing, reason)
        return Again(pause, Lane.REPEATED)

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
        await self._writer.perform(act, self._claims.fenced(self.key, command))

    def _act(self) -> Act:
        return Act(ACTOR, f"source/{self.name}", self._now())


class Sources:
    """The process manager: an asker for each source of the settings, and hosts shared out.

    One process asks a source about all of its hosts, so that one knows whether it is stale.
    """

    def __init__(
        self,
        configured: Sequence[ConfiguredSource],
        writer: Writer,
        hosts: Hosts,
        *,
        now: Callable[[], str],
        chance: random.Random,
        log: Log,
        claims: Claims = ALONE,
    ) -> None:
        self._hosts = hosts
        self._log = log
        self._claims = claims
        self._askers = {
            one.name: Asker(one, writer, hosts, now=now, chance=chance, log=log, claims=claims)
            for one in configured
        }
        self._owner: dict[str, str] = {}  # by address: the name of the source
        self._unknown: set[str] = set()  # names that hosts have and the settings do not

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """How it goes with each source."""
        return {name: asker.tally for name, asker in self._askers.items()}

    async def run(self, follower: Follower) -> None:
        """Until cancelled. `follower` must stand at or before the state that is read first."""
        async with AsyncExitStack() as stack:
            for asker in self._askers.values():
                stack.push_async_callback(asker.aclose)
                await stack.enter_async_context(asker.wakeups.running())
            await stack.enter_async_context(self._claims.told(self._take_over, self._drop))
            async for batch in follower.batches():
                for recorded in batch:
                    self._notice(recorded)

    async def stop(self, timeout_s: float) -> None:
        """Begin no question, and let those that are nearly answered come to an end."""
        timeout_s = min(timeout_s, STOP_TIMEOUT_S)
        async with asyncio.TaskGroup() as group:
            for asker in self._askers.values():
                group.create_task(asker.wakeups.drain(timeout_s))

    async def _take_over(self, part: Part) -> None:
        ours = [asker for asker in self._askers.values() if asker.key in part]
        for address, name in await self._known(ours):
            if f"source/{name}" in part:
                self._take(address, name)

    async def _known(self, askers: Sequence[Asker]) -> list[tuple[str, str]]:
        while True:
            try:
                for asker in askers:
                    await asker.start()
                return await self._hosts.sourced()
            except PersistenceError:
                await asyncio.sleep(LOG_RETRY_S)

    def _drop(self, part: Part) -> None:
        for asker in self._askers.values():
            if asker.key in part:
                asker.drop()
        self._owner = {
            address: name for address, name in self._owner.items() if f"source/{name}" not in part
        }

    def _notice(self, recorded: Recorded) -> None:
        address = recorded.event.originator_id.partition("/")[2]
        match recorded.event:
            case events.Registered(source=name) if name:
                self._take(address, name)
            case events.Removed():
                name = self._owner.pop(address, "")
                if name:
                    self._askers[name].forget(address)
            case _:
                pass  # nothing that calls for a question

    def _take(self, address: str, name: str) -> None:
        if not self._claims.holds(f"source/{name}"):
            return
        asker = self._askers.get(name)
        if asker is None:  # taken out of the settings: what it said last stays
            if name not in self._unknown:  # one line, though it may have had thousands
                self._log("source.unknown", "warning", source=name, host=address)
                self._unknown.add(name)
        elif address not in self._owner:
            self._owner[address] = name
            asker.take(address)
