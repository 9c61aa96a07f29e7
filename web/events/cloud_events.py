"""Events of the log as CloudEvents 1.0, in JSON (the specification's JSON format, 1.0)."""

from base64 import b64encode
from dataclasses import fields
from functools import cache
from typing import Any

import orjson

from domain.all_events import TOPICS
from domain.event import Event, Recorded
from domain.log.engine import StoredEvent
from domain.log.mapper import to_event
from domain.log.recorder import Entry

BATCH_TYPE = "application/cloudevents-batch+json"
SOURCE = "/api/v0/events"
"""Against the service's own URL, this tells one log from another."""
META = frozenset(field.name for field in fields(Event))


def cloud_event(entry: Entry) -> bytes:
    """One event. What another version wrote is told as it is stored; so is what cannot be read.

    `time` is when it was recorded (as `?at=` takes it), `at` what the one who did it says.
    """
    stored = entry.stored
    said = _said(stored)
    event = _event(entry.position, entry.recorded_at, stored.topic, str(stored.originator_id), said)
    if not said:
        event["data_base64"] = b64encode(stored.state).decode()
    return orjson.dumps(event)


def actor_of(stored: StoredEvent) -> str:
    """Who did it, also of what cannot be read; nobody, where it does not say."""
    actor = _object(stored.state).get("actor")
    return actor if isinstance(actor, str) else ""


def encoded(recorded: Recorded) -> bytes:
    """An event that is decoded already, as a CloudEvent in JSON."""
    event = recorded.event
    said = {name: getattr(event, name) for name in _names(event.TOPIC)}
    place = (recorded.position, recorded.recorded_at)
    return orjson.dumps(_event(*place, event.TOPIC, event.originator_id, said))


def _event(
    position: int, recorded_at: str, topic: str, subject: str, said: dict[str, Any]
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(position),
        "source": SOURCE,
        "type": topic,
        "subject": subject,
        "time": f"{recorded_at}Z",
    }
    if said.get("at"):
        event["at"] = f"{said['at']}Z"
    if said.get("actor"):
        event["actor"] = said["actor"]
    if said.get("correlation"):
        event["correlationid"] = said["correlation"]
    if said.get("note"):
        event["note"] = said["note"]
    if said:
        event["datacontenttype"] = "application/json"
        event["data"] = {name: value for name, value in said.items() if name not in META}
    return event


def _said(stored: StoredEvent) -> dict[str, Any]:
    """What an event holds; nothing where that is no JSON object."""
    try:
        event = to_event(stored)
        return {name: getattr(event, name) for name in _names(stored.topic)}
    except Exception:  # noqa: BLE001 - whatever it is: an auditor is told what there is
        return _object(stored.state)


@cache
def _names(topic: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(TOPICS[topic]))


def _object(state: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(state)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def batch(events: list[bytes]) -> bytes:
    """Several of them, as one JSON list."""
    return b"[%b]" % b",".join(events)
