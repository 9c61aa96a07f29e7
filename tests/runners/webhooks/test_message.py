"""What is sent of an event, and how it is signed."""

from datetime import UTC, datetime

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from domain.event import TIME_FORMAT
from domain.log.engine import StoredEvent
from domain.log.recorder import Entry
from runners.webhooks.message import TEXT_CHARACTERS_MAX, message, text_body, trial
from tests.domain.log.corpus import STORED, state
from tests.support.webhook_receiver import SECRET

NOW = "2026-01-02T03:04:05.000006"
OLD = "whsec_" + "YW5vdGhlciBvbmUsIGFsc28gbWFkZSB1cCwgMzIgYnk="
SUMMARY = {"counts": {"done": 3, "failed": 2}, "failed_hosts": ["10.0.0.7", "10.0.0.8"]}


def entry(topic: str, position: int = 117) -> Entry:
    """An entry of the corpus."""
    found = next(each for each in STORED if each[0] == topic)
    return Entry(position, NOW, StoredEvent(found[1], 3, topic, state(found[2])))


def test_it_is_signed_as_the_example_of_the_specification() -> None:
    # https://github.com/standard-webhooks/standard-webhooks: "Signature scheme"
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the specification
    sent = message(entry("host.failed"), "text")._replace(
        id="msg_p5jXN8AQM9LWM0D4loKWxJek", body=b'{"test": 2432232314}'
    )
    at = datetime.fromtimestamp(1614265330, UTC).strftime(TIME_FORMAT)
    headers = sent.headers((secret,), at)
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_during_a_rotation_both_secrets_verify_it_and_no_other() -> None:
    now = datetime.now(UTC).strftime(TIME_FORMAT)
    sent = message(entry("host.failed"), "cloudevents")
    headers = sent.headers((SECRET, OLD), now)
    for secret in (SECRET, OLD):
        assert Webhook(secret).verify(sent.body, headers)["type"] == "host.failed"
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(sent.body, sent.headers((SECRET,), now))


def test_an_event_is_told_as_events_has_it_and_its_id_is_always_the_same() -> None:
    one = message(entry("host.failed"), "cloudevents")
    event = orjson.loads(one.body)
    assert one.content_type == "application/cloudevents+json"
    told = (event["id"], event["type"], event["subject"], event["data"]["kind"], event["actor"])
    assert told == ("117", "host.failed", "host/10.0.0.7", "unreachable", "alice")
    assert message(entry("host.failed"), "cloudevents") == one
    assert one.id.startswith("evt_117_")
    assert message(entry("host.failed"), "text").id == one.id
    assert "." not in one.id  # what is signed has dots between its parts
    later = entry("host.failed")._replace(recorded_at="2026-01-02T03:04:05.000007")
    assert message(later, "cloudevents").id != one.id  # of another log


def test_text_is_one_line_with_what_happened_why_and_by_whom() -> None:
    sent = message(entry("host.failed"), "text")
    assert orjson.loads(sent.body) == {"text": "host/10.0.0.7: failed. It is off: ü. – alice"}


@pytest.mark.parametrize("topic", sorted({topic for topic, *_ in STORED}))
def test_every_event_can_be_told_in_both_forms(topic: str) -> None:
    assert orjson.loads(message(entry(topic), "cloudevents").body)["type"] == topic
    text = orjson.loads(message(entry(topic), "text").body)["text"]
    assert text.startswith(entry(topic).stored.originator_id)
    assert text.isprintable() or "\u2060" in text


def test_an_event_of_another_version_is_told_as_it_is_stored() -> None:
    strange = Entry(117, NOW, StoredEvent("moon/1", 3, "moon.rose", b'{"actor":"alice"}'))
    assert orjson.loads(message(strange, "cloudevents").body)["type"] == "moon.rose"
    assert orjson.loads(message(strange, "text").body)["text"] == "moon/1: moon.rose – alice"


def test_what_hosts_say_breaks_no_line_and_calls_nobody() -> None:
    text = orjson.loads(text_body("a\r\nb\t<!channel> @here \x1b[31m"))["text"]
    assert text == "a b ‹!channel› @\u2060here [31m"
    assert "](" not in orjson.loads(text_body("![a](http://b) [c](http://d)"))["text"]
    assert len(orjson.loads(text_body("x" * 100_000))["text"]) == TEXT_CHARACTERS_MAX


def test_the_end_of_an_operation_has_its_summary() -> None:
    event = orjson.loads(message(entry("operation.ended"), "cloudevents", SUMMARY).body)
    assert event["data"] == {"status": "partial", "reason": "1 failed.", **SUMMARY}
    text = orjson.loads(message(entry("operation.ended"), "text", SUMMARY).body)["text"]
    assert "ended: partial (3 done, 2 failed; not well: 10.0.0.7, 10.0.0.8). 1 failed." in text


def test_a_trial_says_no_more_than_that_it_is_one() -> None:
    event = orjson.loads(trial("chat", "cloudevents", NOW, "1").body)
    assert (event["type"], event["subject"]) == ("webhook.test", "webhook/chat")
    text = orjson.loads(trial("chat", "text", NOW, "1").body)
    assert text == {"text": "This is a test of webhook chat."}
