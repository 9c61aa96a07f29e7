"""Sources are asked in the background: what they say, what they cost, and when they are stale."""

from tests.runners.sources.play import A, B, Play, Rack, rack
from tests.runners.stage import FACTS, NOW, until
from tests.support.stores import Store

__all__ = ["rack"]


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
        assert sorted(rack.asked) == [A, B]


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
    assert sorted(rack.asked) == [A, B]


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
