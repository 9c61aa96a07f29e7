"""A source that fails, hangs or makes no sense, and when it is called stale."""

import asyncio

from domain.aggregates.source import Source as SourceOfLog
from domain.log.unit import load
from runners.observability import metrics
from runners.sources.source import NoAnswer
from tests.runners.sources.play import FIGURES, HOSTS_MANY, A, B, Play, Rack, rack
from tests.runners.stage import LIMIT_S, NOW, until
from tests.support.stores import Store

__all__ = ["rack"]


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
