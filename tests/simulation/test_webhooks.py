"""Whatever fails, each event comes, in order, and doubles have one id; and the judge can see it."""

import pytest

from runners.scheduling.work_queue import Requeue
from runners.webhooks import sender
from runners.webhooks.message import Message, message
from runners.webhooks.reading import Followed
from runners.webhooks.receiver import Answer
from runners.webhooks.sender import WebhookSender
from tests.simulation.webhooks import play

SEEDS = range(12)
PROOF_SEEDS = range(12, 300)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_event_is_delivered_in_order_whatever_fails(seed: int) -> None:
    play(seed)


@pytest.mark.proof
@pytest.mark.parametrize("seed", PROOF_SEEDS)
def test_each_event_is_delivered_in_many_more_stories(seed: int) -> None:
    play(seed)


def test_the_stories_have_faults_in_them() -> None:
    stories = [play(seed) for seed in SEEDS]
    assert sum(story.deaths for story in stories) > 5
    doubles = [len(s.receiver.taken) - len(s.log.entries) for s in stories]
    assert sum(doubles) > 5


def is_seen(kind: type[WebhookSender] = WebhookSender) -> str:
    """What the judge says of a sender that is broken, in some story."""
    said = set()
    for seed in SEEDS:
        try:
            play(seed, kind)
        except AssertionError as fault:
            said.add(str(fault).partition("\n")[0])
    return " ".join(sorted(said))


class PassesOver(WebhookSender):
    """Goes on with the next event where one fails."""

    async def _failed(
        self, key: str, followed: Followed, sent: Message, answer: Answer, at: str
    ) -> Requeue | None:
        await self._keep(key, followed.known.cursor._replace(position=sent.position))
        return await super()._failed(key, followed, sent, answer, at)


def test_the_judge_sees_events_that_are_passed_over() -> None:
    assert "not all came" in is_seen(PassesOver)


def test_the_judge_sees_another_id_of_what_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    number = 0

    def renamed(*args: object) -> Message:
        nonlocal number
        number += 1
        return message(*args)._replace(id=f"evt_{number}")  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(sender, "message", renamed)
    assert "came with another id" in is_seen()


def test_the_judge_sees_events_out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(WebhookSender):
        """Sends what is next but one, and then what it left out."""

        async def _send_next(self, key: str) -> Requeue | None:
            followed = await self._webhooks.load("hook")
            assert followed is not None
            cursor = followed.known.cursor
            if cursor.failures == 0 and cursor.position % 2 and cursor.attempts % 3 == 0:
                found = await self._webhooks.following(followed.wanted, cursor.position + 1)
                if found.entry is not None:
                    sent = message(found.entry, "cloudevents")
                    headers = sent.headers(("whsec_" + "eHh4" * 10,), self._now())
                    await self._receiver.send("", "", headers, sent.body)
            return await super()._send_next(key)

    assert " came after " in is_seen(Impatient)
