"""A source that a test plays, and the parts of the service that ask it."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from domain.aggregates.host import Host
from domain.commands import fleet_commands, investigation
from domain.commands.fleet_commands import HostRequest, OfferedKey
from domain.commands.investigation import Subject
from domain.event import Recorded
from domain.log.follower import Follower
from domain.log.recorder import entries, head
from domain.log.unit import load
from domain.log.writer import Writer
from projections import hosts
from projections.reads import reads
from runners.security.vault import Vault
from runners.service.fleet_reader import FleetReader
from runners.sources.plugins import ConfiguredSource, Terms
from runners.sources.poller import Tally
from runners.sources.pollers import SourcePollers
from runners.sources.source import Source
from tests.runners.stage import ALICE, FACTS, NOW, until
from tests.support.stores import Store

A, B = "10.0.0.1", "10.0.0.2"
HOSTS_MANY = 40
FIGURES = ("hosts", "answers_total", "failures_total", "stale")
QUICK = {"cache_s": 0.02, "timeout_s": 5.0, "stale_after_s": 60.0}


class Rack:
    """An inventory whose answers the test decides; `None` in `hosts` is an answer, too."""

    def __init__(self) -> None:
        self.hosts: dict[str, Mapping[str, object] | None] = {}
        self.failure: BaseException | None = None
        self.hangs_at_the_end = False
        self.free = asyncio.Event()
        self.free.set()
        self.asked: list[str] = []
        self.busy = self.most = 0
        self.closed = False

    async def facts(self, address: str) -> Mapping[str, object] | None:
        """What the test wants it to be."""
        self.asked.append(address)
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await self.free.wait()
        finally:
            self.busy -= 1
        if self.failure is not None:
            raise self.failure
        return self.hosts.get(address)

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True
        if self.hangs_at_the_end:
            await asyncio.Event().wait()


class Play:
    """The process manager on a store, with one source called `rack`."""

    def __init__(self, store: Store, rack: Source, **terms: Any) -> None:
        self.store = store
        self.rack = rack
        self.lines: list[dict[str, object]] = []
        self.vault = Vault(b"k" * 32)
        self._terms = Terms(type="test", **{**QUICK, **terms})
        self._writer: Writer | None = None
        self._sources: SourcePollers | None = None

    @asynccontextmanager
    async def opened(self, *, from_start: bool = False) -> AsyncIterator["Play"]:
        """Start at what the log says now, or follow it from its start; stop as a crash does."""
        engine = self.store.engine
        self.vault.open(engine)
        answers = reads(engine)
        known = FleetReader(answers, self.vault)
        with engine.snapshot() as tx:
            follower = Follower(0 if from_start else head(tx).position, known.entries_after)
        loop = asyncio.get_running_loop()

        def on_commit(previous: int, recorded: Sequence[Recorded]) -> None:
            loop.call_soon_threadsafe(follower.push, previous, recorded)

        with self.store.writer(engine, on_commit=on_commit) as writer:
            self._writer = writer
            self._sources = SourcePollers(
                [ConfiguredSource("rack", self._terms, self.rack)],
                writer,
                known,
                now=lambda: NOW,
                chance=random.Random(1),
                log=self._line,
            )
            runner = asyncio.create_task(self._sources.run(follower))
            try:
                yield self
                assert not runner.done(), runner
            finally:
                runner.cancel()
                await asyncio.wait((runner,))
                answers.close()

    @property
    def sources(self) -> SourcePollers:
        """The process manager."""
        assert self._sources is not None
        return self._sources

    @property
    def tally(self) -> Tally:
        """How it goes."""
        return self.sources.tallies["rack"]

    async def register(self, address: str, source: str = "rack") -> None:
        """As PUT does."""
        assert self._writer is not None
        asked = HostRequest(OfferedKey(b"key", lambda raw: "SHA256:key"), source=source)
        await self._writer.perform(
            ALICE, lambda unit: fleet_commands.register_host(unit, self.vault, address, asked)
        )

    async def remove(self, address: str) -> None:
        """As DELETE does."""
        assert self._writer is not None
        await self._writer.perform(
            ALICE, lambda unit: fleet_commands.remove_host(unit, self.vault, address)
        )

    async def settle(self, address: str) -> None:
        """As a look over SSH does."""
        assert self._writer is not None
        subject = Subject(address, self.host(address).incarnation)
        await self._writer.perform(ALICE, lambda unit: investigation.settle(unit, subject, FACTS))

    async def asked_again(self) -> None:
        """Until every question that is under way, and one more after it, has been answered."""
        before = self.tally.answers + self.tally.failures
        await until(lambda: self.tally.answers + self.tally.failures >= before + 3)

    def host(self, address: str) -> Host:
        """A host as the log has it now."""
        with self.store.engine.snapshot() as tx:
            return load(tx, Host, address)

    def record(self, address: str) -> dict[str, Any]:
        """What GET answers."""
        with self.store.engine.snapshot() as tx:
            answer = hosts.host(tx, address)
        assert answer is not None
        found: dict[str, Any] = orjson.loads(answer.body)
        return found

    def events(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Topic and state of every event whose topic begins like this."""
        with self.store.engine.snapshot() as tx:
            found = [(e.stored.topic, orjson.loads(e.stored.state)) for e in entries(tx, 0, 10_000)]
        return [(topic, state) for topic, state in found if topic.startswith(kind)]

    def said(self, event: str) -> list[dict[str, object]]:
        """The log lines of this kind."""
        return [line for line in self.lines if line["event"] == event]

    def _line(self, event: str, /, level: str = "info", **fields: object) -> None:
        self.lines.append({"event": event, "level": level, **fields})


@pytest.fixture
def rack() -> Rack:
    """An inventory that knows A."""
    inventory = Rack()
    inventory.hosts[A] = {"os": "rhel", "cpus": 64, "memory": 1000}
    return inventory
