"""Sources are asked in the background: what they say, what they cost, and when they are stale."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from domain.aggregates.host import Host
from domain.aggregates.source import Source as SourceOfLog
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
from runners.observability import metrics
from runners.security.vault import Vault
from runners.service.fleet_reader import FleetReader
from runners.sources.plugins import ConfiguredSource, Terms
from runners.sources.poller import Tally
from runners.sources.pollers import SourcePollers
from runners.sources.source import NoAnswer, Source
from tests.runners.stage import ALICE, FACTS, LIMIT_S, NOW, until
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


async def test_what_a_source_supplies_wins_over_what_the_host_says_key_by_key(
    store: Store, rack: Rack
) -> None:
    async with Play(store, rack).opened() as play:
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
        assert play.record(A) == {
            "address": A,
            "status": "investigating",
            "os": "rhel",
            "cpus": 64,
            "memory": 1000,
            "space": 0,
            "last_check": "",
            "source": "rack",
        }
        await play.settle(A)
        assert play.record(A) == {
            "address": A,
            "status": "disassociated",
            "os": "rhel",
            "cpus": 64,
            "memory": 1000,
            "space": FACTS.space,
            "last_check": NOW,
            "source": "rack",
        }
        rack.hosts[A] = {"cpus": 32}
        await until(lambda: play.record(A)["cpus"] == 32)
        assert play.record(A)["os"] == "fedora"
        rack.hosts[A] = None
        await until(lambda: play.record(A)["cpus"] == FACTS.cpus)
        assert play.host(A).facts == FACTS
        topics = [topic for topic, _ in play.events("host.facts_sourced")]
        assert len(topics) == 3
        _, state = play.events("host.facts_sourced")[0]
        assert (state["actor"], state["correlation"]) == ("runner:sources", f"host/{A}@1")
    store.must_be_consistent()


async def test_the_same_answer_again_is_no_event(store: Store, rack: Rack) -> None:
    async with Play(store, rack).opened() as play:
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
        await play.asked_again()
        assert len(play.events("host.facts_sourced")) == 1
        assert play.tally.answers >= 2


async def test_an_answer_is_taken_for_good_for_the_cache_time(
    sqlite_store: Store, rack: Rack
) -> None:
    async with Play(sqlite_store, rack, cache_s=3600).opened() as play:
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
        await play.register(B)
        await until(lambda: B in rack.asked and not rack.busy)
        assert rack.asked == [A, B]


async def test_a_host_that_is_both_read_and_noticed_is_asked_about_once(
    sqlite_store: Store, rack: Rack
) -> None:
    play = Play(sqlite_store, rack, cache_s=3600)
    async with play.opened():
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
    rack.asked.clear()
    async with play.opened(from_start=True):
        await play.register(B)
        await until(lambda: B in rack.asked and not rack.busy)
    assert rack.asked == [A, B]


async def test_a_host_without_a_source_is_nobodys_question(sqlite_store: Store, rack: Rack) -> None:
    async with Play(sqlite_store, rack).opened() as play:
        await play.register(B, source="")
        await play.register(A)
        await play.asked_again()
        assert set(rack.asked) == {A}


async def test_a_source_is_asked_about_so_many_hosts_at_once(
    sqlite_store: Store, rack: Rack
) -> None:
    async with Play(sqlite_store, rack, parallel=3).opened() as play:
        rack.free.clear()
        for number in range(10):
            await play.register(f"10.1.0.{number}")
        await until(lambda: rack.busy == 3)
        rack.free.set()
        await until(lambda: len(set(rack.asked)) == 10)
        assert rack.most == 3


async def test_a_removed_host_is_asked_about_no_more_and_its_answer_is_dropped(
    store: Store, rack: Rack
) -> None:
    async with Play(store, rack).opened() as play:
        rack.free.clear()
        await play.register(A)
        await until(lambda: rack.busy == 1)
        await play.remove(A)
        await until(lambda: rack.busy == 0)
        rack.free.set()
        rack.asked.clear()
        await play.register(B)
        await play.asked_again()
        assert set(rack.asked) == {B}
        assert play.events("host.facts_sourced") == []


async def test_a_restart_asks_about_the_hosts_of_the_log(store: Store, rack: Rack) -> None:
    async with Play(store, rack, cache_s=3600).opened() as play:
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
    assert rack.closed
    rack.hosts[A] = {"cpus": 65}
    async with Play(store, rack).opened() as play:
        assert play.record(A)["cpus"] == 64
        await until(lambda: play.record(A)["cpus"] == 65)


async def test_a_source_that_fails_changes_no_fact_and_is_stale_after_its_limit(
    store: Store, rack: Rack
) -> None:
    play = Play(store, rack, stale_after_s=0.2)
    async with play.opened():
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
        rack.failure = NoAnswer("It answered 503.")
        await until(lambda: play.events("source."))
        assert play.record(A)["cpus"] == 64
        topic, state = play.events("source.")[0]
        assert (topic, state["reason"], state["since"]) == (
            "source.became_stale", "It answered 503.", NOW,
        )  # fmt: skip
        await play.asked_again()
        assert len(play.events("source.")) == 1
        assert play.tally.stale
        (line,) = play.said("source.became_stale")
        assert (line["level"], line["source"]) == ("warning", "rack")
        assert len(play.said("source.failed")) == 1  # not one for every question
    # Staleness is remembered by the log, not by us.
    async with play.opened():
        await play.asked_again()
        assert len(play.events("source.")) == 1
        rack.failure = None
        await until(lambda: len(play.events("source.")) == 2)
        assert play.events("source.")[1][0] == "source.came_back"
        # The event can be read before the process manager hears that it is stored.
        await until(lambda: bool(play.said("source.came_back")))
        await until(lambda: not play.tally.stale)
        await play.asked_again()
        assert len(play.events("source.")) == 2
    with store.engine.snapshot() as tx:
        assert not load(tx, SourceOfLog, "rack").stale


async def test_a_failure_that_passes_within_the_limit_is_no_event(
    sqlite_store: Store, rack: Rack
) -> None:
    async with Play(sqlite_store, rack).opened() as play:
        rack.failure = NoAnswer("It answered 503.")
        await play.register(A)
        await play.asked_again()
        rack.failure = None
        await until(lambda: play.record(A)["cpus"] == 64)
        assert play.events("source.") == []
        assert play.tally.failures >= 2


async def test_one_host_that_makes_no_sense_does_not_make_its_source_stale(
    sqlite_store: Store, rack: Rack
) -> None:
    async with Play(sqlite_store, rack, stale_after_s=0.5).opened() as play:
        rack.hosts[B] = {"cpus": "many"}
        await play.register(A)
        await play.register(B)
        await until(lambda: play.tally.failures >= 60)  # twice as long as the limit
        assert play.events("source.") == []
        (line,) = play.said("source.failed")
        assert (line["host"], "cpus" in str(line["reason"])) == (B, True)


async def test_one_bad_host_is_no_reason_where_the_others_are_asked_less_often_than_the_limit(
    store: Store, rack: Rack
) -> None:
    async with Play(store, rack, cache_s=3600, stale_after_s=0.01).opened() as play:
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
        rack.hosts[B] = {"cpus": "many"}
        await play.register(B)
        await until(lambda: rack.asked == [A, B, B, A])  # the one that it had an answer for
        await until(lambda: play.tally.answers == 2)
        assert play.events("source.") == []
        assert play.tally.failures == 2


async def test_where_the_host_that_it_knew_fails_too_it_is_stale(store: Store, rack: Rack) -> None:
    async with Play(store, rack, cache_s=3600, stale_after_s=0.01).opened() as play:
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
        rack.failure = NoAnswer("It answered 503.")
        await play.register(B)
        await until(lambda: play.tally.stale)
        assert rack.asked == [A, B, B, A]
        assert [topic for topic, _ in play.events("source.")] == ["source.became_stale"]


async def test_an_outage_of_a_source_of_many_hosts_is_told_once_and_its_end_too(
    store: Store, rack: Rack
) -> None:
    addresses = [f"10.1.{number // 250}.{number % 250 + 1}" for number in range(HOSTS_MANY)]
    async with Play(store, rack, parallel=20, cache_s=0.2, stale_after_s=0.3).opened() as play:
        rack.failure = NoAnswer("It answered 503.")
        for address in addresses:
            rack.hosts[address] = {"cpus": 3}
            await play.register(address)
        await until(lambda: set(rack.asked) == set(addresses))
        await until(lambda: play.tally.stale)
        rack.free.clear()
        await until(lambda: rack.busy >= 10)  # whose answers come all at once
        rack.failure = None
        rack.free.set()
        await until(lambda: len(play.events("host.facts_sourced")) == HOSTS_MANY)
        assert all(play.record(address)["cpus"] == 3 for address in addresses)
        assert play.tally.hosts == HOSTS_MANY
        assert [topic for topic, _ in play.events("source.")] == [
            *("source.became_stale", "source.came_back")
        ]
        told = [line["event"] for line in play.lines]
        assert told == ["source.failed", "source.became_stale", "source.came_back"]


async def test_a_source_that_takes_too_long_is_a_failure(sqlite_store: Store, rack: Rack) -> None:
    async with Play(sqlite_store, rack, timeout_s=0.05).opened() as play:
        rack.free.clear()
        await play.register(A)
        await until(lambda: play.said("source.failed"))
        reason = play.said("source.failed")[0]["reason"]
        assert reason == "It did not answer within 0.05 seconds."


async def test_a_defect_of_a_plugin_is_a_failure_whose_text_is_not_shown(
    sqlite_store: Store, rack: Rack
) -> None:
    async with Play(sqlite_store, rack, stale_after_s=0.1).opened() as play:
        rack.failure = RuntimeError("the password is s3cret")
        await play.register(A)
        await until(lambda: play.events("source."))
        assert play.said("source.failed")[0]["reason"] == "It failed: RuntimeError."
        assert "s3cret" not in str(play.lines) + str(play.events(""))


class Rotten(dict[str, object]):
    """A mapping that fails when it is looked into."""

    def get(self, key: str, default: object = None) -> object:
        """Fail."""
        raise LookupError(key, default)


async def test_whatever_a_plugin_does_it_is_asked_again(sqlite_store: Store, rack: Rack) -> None:
    async with Play(sqlite_store, rack).opened() as play:
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
        rack.failure = asyncio.CancelledError()
        await until(lambda: play.said("source.failed"))
        rack.failure = None
        rack.hosts[A] = Rotten()
        await until(lambda: len(play.said("source.failed")) == 2)
        rack.hosts[A] = ["no", "mapping"]  # type: ignore[assignment]
        await until(lambda: len(play.said("source.failed")) == 3)
        rack.hosts[A] = {"cpus": 65}
        await until(lambda: play.record(A)["cpus"] == 65)
        assert [line["reason"] for line in play.said("source.failed")] == [
            "It cancelled its own answer.",
            "It failed: LookupError.",
            "Its answer is neither a mapping nor None.",
        ]


async def test_a_plugin_that_does_not_close_is_left_alone_in_the_end(
    sqlite_store: Store, rack: Rack
) -> None:
    rack.hangs_at_the_end = True
    async with asyncio.timeout(LIMIT_S):
        async with Play(sqlite_store, rack).opened() as play:
            await play.register(A)
            await until(lambda: play.record(A)["cpus"] == 64)
        (line,) = play.said("source.defect")
        assert (line["error"], rack.closed) == ("TimeoutError", True)


async def test_a_host_whose_source_was_taken_out_of_the_settings_keeps_its_facts(
    sqlite_store: Store, rack: Rack
) -> None:
    async with Play(sqlite_store, rack).opened() as play:
        await play.register(A, source="gone")
        await play.register(B, source="gone")
        await until(lambda: play.said("source.unknown"))
        await play.remove(A)
        await play.register(A)
        await until(lambda: play.record(A)["cpus"] == 64)
        assert len(play.said("source.unknown")) == 1  # one for the name, not for each host


async def test_how_it_goes_with_a_source_can_be_scraped(sqlite_store: Store, rack: Rack) -> None:
    async with Play(sqlite_store, rack, stale_after_s=0.01).opened() as play:
        collect = metrics.sources(play.sources)

        def figure(name: str) -> float:
            samples = [sample for metric in collect() for sample in metric.samples]
            (value,) = [
                sample.value
                for sample in samples
                if (sample.name, sample.labels)
                == (f"commissaire_source_{name}", {"source": "rack"})
            ]
            return value

        assert [figure(name) for name in FIGURES] == [0, 0, 0, 0]
        await play.register(A)
        await until(lambda: figure("answers_total") == 1)
        rack.failure = NoAnswer("It answered 503.")
        await until(lambda: figure("stale") == 1)
        assert (figure("hosts"), figure("failures_total") >= 2) == (1, True)
        rack.failure = None
        await until(lambda: figure("stale") == 0)
        await play.remove(A)
        await until(lambda: figure("hosts") == 0)


async def test_the_end_of_the_service_does_not_wait_for_a_source_that_hangs(
    sqlite_store: Store, rack: Rack
) -> None:
    async with Play(sqlite_store, rack, timeout_s=3600).opened() as play:
        rack.free.clear()
        await play.register(A)
        await until(lambda: rack.busy == 1)
        async with asyncio.timeout(LIMIT_S):
            await play.sources.stop(timeout_s=100 * LIMIT_S)
        await play.register(B)
        await until(lambda: play.tally.hosts == 2)
    assert (rack.asked, rack.busy) == ([A], 0)
