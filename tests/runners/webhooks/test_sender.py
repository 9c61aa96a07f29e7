"""Events on their way to receivers: each, in order, whatever receivers and processes do."""

import asyncio
import random

import pytest

from domain.commands.webhook_commands import BOTH_VALID_S, Kept, rotate_secret
from runners.leases.ownership import SingleProcess
from runners.scheduling.backoff import Pauses
from runners.webhooks import sender
from runners.webhooks.sender import PAUSES, Patience, Tally
from tests.runners.stage import until
from tests.runners.webhooks.play import QUICK, Play, told
from tests.support.stores import Store
from tests.support.webhook_receiver import SECRET, Does, WebhookReceiver, must_be_delivered

LIMIT_S = 60.0


async def all_there(play: Play, there: WebhookReceiver, begin: int = 0) -> None:
    """Until every event of the log from a position on was taken."""

    def arrived() -> bool:
        wanted = [position for position in play.positions() if position >= begin]
        return {int(one.event["id"]) for one in there.taken} >= set(wanted)

    await until(arrived, LIMIT_S)
    must_be_delivered(there.taken, [position for position in play.positions() if position >= begin])


@pytest.mark.parametrize("before", [0, 3])
async def test_events_are_sent_from_its_creation_on_signed_and_in_order(
    store: Store, there: WebhookReceiver, before: int
) -> None:
    play = Play(store)
    async with play.opened():
        await play.happen(*(f"before{number}" for number in range(before)))
        begin = (play.positions() or [0])[-1] + 1
        await play.put(there)
        await play.happen(*(f"web{number}" for number in range(5)))
        await all_there(play, there, begin)
        for one in there.taken:
            one.must_be_signed()
        assert told(there)[:2] == ["webhook.created webhook/hook", "cluster.created cluster/web0"]
        await until(lambda: play.record()["position"] == play.positions()[-1])
        assert play.record()["status"] == "active"
        newest = play.deliveries()[0]
        assert (newest.status, newest.reason, newest.subject) == (204, "", "cluster/web4")
    store.must_be_consistent()


async def test_only_what_its_filters_let_through_is_sent(
    play: Play, there: WebhookReceiver
) -> None:
    async with play.opened():
        await play.put(there, "a", types=["cluster.*"], subjects=["cluster/b", "cluster/c"])
        await play.put(there, "b", types=["cluster.created"], subjects=["cluster/d"])
        await play.put(there, "c", types=["webhook.removed", "network.*"])
        await play.happen("a", "b", "c", "d")
        await until(lambda: len(there.taken) >= 3)
        await play.do(lambda unit: unit.cluster("d").remove())  # of a type that b does not take
        await play.do(lambda unit: unit.cluster("b").remove())
        await until(lambda: len(there.taken) >= 4)
    assert sorted(told(there)) == [
        *("cluster.created cluster/b", "cluster.created cluster/c"),
        *("cluster.created cluster/d", "cluster.removed cluster/b"),
    ]


async def test_the_text_form_is_a_line(play: Play, there: WebhookReceiver) -> None:
    async with play.opened():
        await play.put(there, form="text", types=["cluster.created"])
        await play.happen("web")
        await until(lambda: there.taken)
    assert there.taken[0].event == {"text": "cluster/web: created with network default – alice"}
    there.taken[0].must_be_signed()


@pytest.mark.parametrize("does", [500, 302, "cut", 429])
async def test_what_was_not_taken_is_sent_again_with_the_same_id_before_what_follows(
    play: Play, there: WebhookReceiver, does: Does
) -> None:
    there.does.extend([does, does, 204, does])
    async with play.opened():
        await play.put(there)
        await play.happen("a", "b")
        await all_there(play, there)
        failed = [one.id for one in there.received if one.did == does]
        assert set(failed) <= {one.id for one in there.taken}
        assert len(there.received) == len(there.taken) + 3
        for one in there.received:
            one.must_be_signed()
        await until(lambda: play.record()["position"] == play.positions()[-1])
        assert {each.reason == "" for each in play.deliveries()} == {True, False}
        assert play.said("webhook.failed")
        await until(lambda: play.said("webhook.delivers_again"))
        await until(lambda: play.tallies["hook"] == Tally(len(there.taken), 3, failing=False))


async def test_a_dead_and_a_hanging_receiver_hold_up_nobody_else(
    play: Play, there: WebhookReceiver
) -> None:
    with WebhookReceiver() as hangs:
        hangs.always = "hang"
        async with play.opened():
            for number in range(20):
                await play.put(hangs if number % 2 else "http://127.77.0.1:1/", f"dead{number}")
            begin = play.positions()[-1] + 1
            await play.put(there)
            await play.happen("a", "b", "c")
            await all_there(play, there, begin)
            record = play.record("dead0")
            assert record["status"] == "failing"
            assert record["reason"].startswith("It cannot be reached")


async def test_news_do_not_shorten_the_pause_after_a_failure(
    play: Play, there: WebhookReceiver
) -> None:
    there.always = 500
    async with play.opened(Patience(Pauses(3600.0, 3600.0))):
        await play.put(there)
        await until(lambda: play.record()["failures"])
        await play.happen("a", "b", "c")
        with WebhookReceiver() as other:  # by then the first one was told of the news as well
            await play.put(other, "other", types=["cluster.created"])
            await play.happen("d")
            await until(lambda: other.taken)
        assert len(there.received) == 1
        there.always = 204
        await play.put(there, types=["cluster.*"])  # whoever has seen to it, does not wait
        await until(lambda: len(there.taken) >= 4)


async def test_news_during_an_attempt_do_not_shorten_the_pause_after_it(
    play: Play, there: WebhookReceiver
) -> None:
    there.does.append("hang")
    with WebhookReceiver() as other:
        async with play.opened(Patience(Pauses(3600.0, 3600.0))):
            await play.put(other, "other", types=["cluster.created"])
            await play.put(there)
            await until(lambda: there.received)
            await play.happen("a")
            await until(lambda: len(other.taken) == 1)  # both were told of it
            there.free.set()
            await until(lambda: play.record()["failures"])
            await play.happen("b")
            await until(lambda: len(other.taken) == 2)
            assert len(there.received) == 1


async def test_what_is_mended_during_an_attempt_is_tried_at_once(
    play: Play, there: WebhookReceiver
) -> None:
    there.does.append("hang")
    async with play.opened(Patience(Pauses(3600.0, 3600.0))):
        await play.put(there)
        await until(lambda: there.received)
        await play.put(there, types=["webhook.*"])
        there.free.set()
        await all_there(play, there)


async def test_what_failed_and_is_not_asked_for_any_more_stops_nothing(
    play: Play, there: WebhookReceiver
) -> None:
    there.does.append("hang")
    async with play.opened(Patience(Pauses(3600.0, 3600.0))):
        await play.put(there, types=["webhook.created", "cluster.created"])
        await until(lambda: there.received)
        await play.put(there, types=["cluster.created"])
        there.free.set()
        await until(lambda: there.received and play.deliveries())
        await until(lambda: play.record()["status"] == "active")
        assert not play.tallies["hook"].failing
        await play.happen("a")
        await until(lambda: told(there) == ["cluster.created cluster/a"])


async def test_a_receiver_may_ask_for_a_longer_pause(play: Play, there: WebhookReceiver) -> None:
    there.always, there.retry_after = 429, "3000"
    async with play.opened(Patience(Pauses(0.01, 3600.0))):
        await play.put(there)
        await until(lambda: play.record()["failures"])
        await play.happen("a")
        there.always = 204
        with WebhookReceiver() as other:
            await play.put(other, "other")
            await until(lambda: len(other.taken) == 1)
        assert len(there.received) == 1
        await play.put(there, types=["cluster.*"])  # whoever has seen to it, does not wait
        await until(lambda: told(there) == ["cluster.created cluster/a"])


@pytest.mark.parametrize("sends", [True, False])
async def test_the_secret_before_is_destroyed_once_its_day_is_over(
    play: Play, there: WebhookReceiver, sends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SECRET_LOOK_S", 0.05)
    there.always = 204 if sends else 503
    async with play.opened(Patience(QUICK.pauses, 3600.0, failures_min=2)):
        await play.put(there)
        if not sends:
            await until(lambda: play.record()["failures"])
            play.later_s = 3601.0
            await until(lambda: play.record()["status"] == "given_up")
        other = SECRET.replace("bWFk", "bWFl")
        await play.do(lambda unit: rotate_secret(unit, play.vault, "hook", other))
        await until(lambda: not sends or len(there.taken) == 2)
        assert play.kept().before == SECRET
        play.later_s += BOTH_VALID_S + 1
        await until(lambda: not play.kept().before)
        assert play.kept() == Kept(there.url, other)


def test_pauses_grow_to_an_hour_and_are_not_alike() -> None:
    assert [PAUSES.after(n) for n in (1, 2, 3, 12, 13, 1000)] == [1, 2, 4, 2048, 3600, 3600]
    chance = random.Random(7)
    assert len({PAUSES.after(5, chance) for _ in range(10)}) == 10


async def test_it_is_given_up_after_three_days_and_goes_on_when_it_is_asked_for(
    play: Play, there: WebhookReceiver
) -> None:
    there.always = 503
    async with play.opened():
        await play.put(there)
        await play.happen("a")
        # Many attempts are not enough,
        await until(lambda: play.record()["failures"] > QUICK.failures_min)
        assert play.record()["status"] == "failing"
        play.later_s = 3 * 24 * 3600.0 + 1
        await until(lambda: play.record()["status"] == "given_up")
        ((_, gave_up),) = play.events("webhook.gave_up")
        assert (gave_up["position"], gave_up["reason"]) == (1, "It answered 503.")
        assert gave_up["since"] == play.record()["failing_since"]
        await until(lambda: play.said("webhook.gave_up"))
        begun = len(there.received)
        await play.happen("b")
        there.always = 204
        await play.put(there)
        await all_there(play, there)
        assert len(there.received) == begun + len(play.positions())
        assert play.record()["status"] == "active"
    play.store.must_be_consistent()


async def test_after_it_was_resumed_it_is_not_given_up_at_once(
    play: Play, there: WebhookReceiver
) -> None:
    there.always = 503
    async with play.opened(Patience(QUICK.pauses, 3600.0, failures_min=2)):
        await play.put(there)
        await until(lambda: play.record()["failures"] > 2)
        play.later_s = 3601.0
        await until(lambda: play.record()["status"] == "given_up")
        await play.put(there)
        # It counts from there on, though what failed before is remembered.
        await until(lambda: play.record()["failures"] > 5)
        assert play.record()["status"] == "failing"


async def test_nothing_is_given_up_because_a_clock_was_set(
    play: Play, there: WebhookReceiver
) -> None:
    there.does.extend([500, 500])
    async with play.opened():
        await play.put(there)
        await until(lambda: play.record()["failures"])
        play.later_s = 30 * 24 * 3600.0
        await all_there(play, there)
    assert play.events("webhook.gave_up") == []


async def test_one_that_is_removed_is_sent_nothing_more_and_begins_anew(
    play: Play, there: WebhookReceiver
) -> None:
    there.always = 500
    async with play.opened():
        await play.put(there)
        await play.happen("a")
        await until(lambda: there.received)
        await play.do(lambda unit: unit.webhook("hook").remove())
        there.always = 204
        begin = play.positions()[-1] + 1
        await play.put(there)
        await play.happen("b")
        await all_there(play, there, begin)
        assert play.deliveries()[-1].type == "webhook.created"


async def test_the_end_of_the_service_does_not_wait_for_one_that_hangs(
    play: Play, there: WebhookReceiver
) -> None:
    there.always = "hang"
    async with play.opened():
        await play.put(there)
        await until(lambda: there.received)
        assert play.sender is not None
        async with asyncio.timeout(LIMIT_S):
            await play.sender.stop(10 * LIMIT_S)
    there.always = 204
    async with play.opened():
        await all_there(play, there)


async def test_a_defect_of_one_holds_up_no_other(play: Play, there: WebhookReceiver) -> None:
    async with play.opened():
        await play.put("http://127.77.0.1:1/", "broken", types=["cluster.removed"])
        broken = b"no JSON"
        await play.do(lambda unit: play.vault.replace(unit, "webhook/broken", broken))
        await play.do(lambda unit: unit.webhook("broken").rotate_secret("2026-01-02"))
        await until(lambda: play.said("webhook.defect"))
        begin = play.positions()[-1] + 1
        await play.put(there)
        await play.happen("a")
        await all_there(play, there, begin)


class Moved(SingleProcess):
    """Holds all keys, or another process does."""

    holding = True

    def holds(self, key: str) -> bool:
        return self.holding


async def test_a_process_that_lost_the_webhook_sends_nothing(
    play: Play, there: WebhookReceiver
) -> None:
    owned = Moved()
    async with play.opened(ownership=owned):
        await play.put(there)
        await until(lambda: play.record()["position"] == 1)
        owned.holding = False
        owned.begin_anew()
        await play.happen("a", "b")
        async with Play(play.store).opened() as other:  # it has sent all by then
            await all_there(other, there)
            assert len(there.received) == 3
