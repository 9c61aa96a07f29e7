"""What is sent of an event: a CloudEvent in JSON, or one line of text, signed as Standard Webhooks
has it (its specification, 1.0.0).
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from standardwebhooks import Webhook

from domain.event import TIME_FORMAT
from domain.log.mapper import to_event
from domain.log.recorder import Entry
from projections.event_sentences import sentence, why
from web.events.cloud_events import SOURCE, actor_of, cloud_event

CLOUD_EVENT_TYPE = "application/cloudevents+json"
TEXT_TYPE = "application/json"
TEXT_CHARACTERS_MAX = 2000
NAMED_MAX = 20
"""So many hosts are named in a line of text."""
TEST = "webhook.test"
"""The type of what is sent for a trial; there is no such event."""
AS_PLAIN = str.maketrans({"<": "‹", ">": "›", "@": "@\u2060"})
"""Chat tools take some of what hosts say for markup, and call people: not with these."""
LINK, NO_LINK = "](", "] ("
"""A link in Markdown shows one place and leads to another, or fetches a picture."""


class Message(NamedTuple):
    """What is sent. `id` is the same whenever it is sent again."""

    id: str
    position: int
    type: str
    subject: str
    content_type: str
    body: bytes

    def headers(self, secrets: Sequence[str], now: str) -> dict[str, str]:
        """What goes with it, signed with each of the secrets."""
        time = datetime.strptime(now, TIME_FORMAT).replace(tzinfo=UTC)
        signed = [Webhook(secret).sign(self.id, time, self.body.decode()) for secret in secrets]
        return {
            "content-type": self.content_type,
            "webhook-id": self.id,
            "webhook-timestamp": str(int(time.timestamp())),
            "webhook-signature": " ".join(signed),
        }


def message(entry: Entry, form: str, summary: dict[str, Any] | None = None) -> Message:
    """What is sent of an entry of the log."""
    stored = entry.stored
    place = f"{entry.recorded_at} {stored.originator_id} {stored.originator_version}"
    # Positions are of one log: another service, or one made anew, has others at the same place.
    digest = hashlib.sha256(place.encode()).hexdigest()[:16]
    event = orjson.loads(cloud_event(entry))
    if summary is not None:
        event["data"] = {**event.get("data", {}), **summary}
    about = (f"evt_{entry.position}_{digest}", entry.position, stored.topic, event["subject"])
    if form == "text":
        return Message(*about, TEXT_TYPE, text_body(_line(entry, event["subject"], summary)))
    return Message(*about, CLOUD_EVENT_TYPE, orjson.dumps(event))


def trial(name: str, form: str, now: str, number: str) -> Message:
    """What is sent to find out whether it arrives."""
    line = f"This is a test of webhook {name}."
    event = {
        "specversion": "1.0",
        "id": f"test-{number}",
        "source": SOURCE,
        "type": TEST,
        "subject": f"webhook/{name}",
        "time": f"{now}Z",
        "datacontenttype": "application/json",
        "data": {"message": line},
    }
    about = (f"test_{number}", 0, TEST, f"webhook/{name}")
    if form == "text":
        return Message(*about, TEXT_TYPE, text_body(line))
    return Message(*about, CLOUD_EVENT_TYPE, orjson.dumps(event))


def text_body(line: str) -> bytes:
    """One line as chat tools take it."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in line).split())
    if len(plain) > TEXT_CHARACTERS_MAX:
        plain = f"{plain[: TEXT_CHARACTERS_MAX - 1]}…"
    return orjson.dumps({"text": plain.translate(AS_PLAIN).replace(LINK, NO_LINK)})


def _line(entry: Entry, subject: str, summary: dict[str, Any] | None) -> str:
    stored = entry.stored
    try:
        event = to_event(stored)
        told, reason = sentence(event), why(event)
    except Exception:  # noqa: BLE001 - of another version: told as it is stored
        told, reason = stored.topic, None
    line = f"{subject}: {told}"
    if summary is not None:
        line += f" ({_counted(summary)})"
    if reason:
        line += f". {reason}"
    actor = actor_of(stored)
    return f"{line} – {actor}" if actor else line


def _counted(summary: dict[str, Any]) -> str:
    counts = ", ".join(f"{number} {outcome}" for outcome, number in summary["counts"].items())
    failed = summary["failed_hosts"]
    if not failed:
        return counts
    more = f" and {len(failed) - NAMED_MAX} more" if len(failed) > NAMED_MAX else ""
    return f"{counts}; not well: {', '.join(failed[:NAMED_MAX])}{more}"
