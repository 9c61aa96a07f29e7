"""What webhooks do where the machine itself is in trouble: a full disk, a clock that was set."""

import pytest

from runners.scheduling import process_manager
from runners.scheduling.backoff import Pauses
from runners.webhooks.sender import Patience
from tests.runners.stage import until
from tests.runners.webhooks.play import QUICK, Play
from tests.support.webhook_receiver import WebhookReceiver, must_be_delivered

LIMIT_S = 60.0
EVENTS = 120
DAY_S = 24 * 3600.0


async def test_nothing_is_sent_again_and_again_while_the_disk_is_full(
    play: Play, there: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_manager, "LOG_RETRY_S", 0.05)
    there.always = 500
    async with play.opened(Patience(Pauses(3600.0, 3600.0))):
        await play.put(there)
        await until(lambda: play.record()["failures"], LIMIT_S)
        await play.happen(*(f"c{number}" for number in range(EVENTS)))
    there.always = 204
    full_at: set[float | None] = set()

    def refused_often() -> bool:
        assert play._writer is not None
        full_at.add(play._writer.storage_was_full_at)
        return len(full_at) > 5

    async with play.opened():
        # From here on the file may not grow: that attempts are kept fills it.
        await play.do(lambda unit: unit.tx.execute("PRAGMA max_page_count = 1"))
        await until(refused_often, LIMIT_S)
        assert len(there.taken) == len({one.id for one in there.taken}) <= EVENTS
        await play.do(lambda unit: unit.tx.execute("PRAGMA max_page_count = 100000"))
        await until(lambda: play.record()["position"] == play.positions()[-1], LIMIT_S)
        must_be_delivered(there.taken, play.positions())
        assert len(there.taken) == EVENTS + 1
    play.store.must_be_consistent()


async def test_a_clock_that_is_behind_the_log_makes_no_pause_short(
    play: Play, there: WebhookReceiver
) -> None:
    there.always = 503
    async with play.opened(Patience(QUICK.pauses, 3 * DAY_S, failures_min=2)):
        play.later_s = -1800.0
        await play.put(there)
        await until(lambda: play.record()["failures"] > 2, LIMIT_S)
    assert len(play.said("webhook.failed")) == 1


async def test_a_receiver_that_failed_while_the_clock_was_ahead_is_given_up_in_time(
    play: Play, there: WebhookReceiver
) -> None:
    there.always = 503
    async with play.opened(Patience(QUICK.pauses, 3 * DAY_S, failures_min=2)):
        play.later_s = 1000 * DAY_S
        await play.put(there)
        await until(lambda: play.record()["failures"], LIMIT_S)
        ahead = play.record()["failing_since"]
        play.later_s = 0.0
        await until(lambda: play.record()["failing_since"] < ahead, LIMIT_S)
        play.later_s = 3 * DAY_S + 60
        await until(lambda: play.record()["status"] == "given_up", LIMIT_S)
