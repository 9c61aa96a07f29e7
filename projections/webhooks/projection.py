"""The webhooks as the log has them."""

from dataclasses import dataclass

import orjson

from domain.aggregates import webhook as events
from domain.aggregates.webhook import WebhookEvent
from domain.event import Recorded
from projections.projection import Projection
from projections.tables import Table, TableAccess

VERSION = 1


@dataclass(slots=True)
class WebhookRow:
    """One webhook. `record` has its terms as JSON; events after `begun` are sent, that one too."""

    name: str
    begun: int
    asked_at: str
    """When somebody asked for it last: attempts before that count no more."""
    state: str
    gave_up: str
    """What `webhook.gave_up` says, as JSON; "" where it was not given up."""
    record: str


WEBHOOKS = Table(
    "webhooks",
    WebhookRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            begun BIGINT NOT NULL,
            asked_at {text} NOT NULL,
            state {text} NOT NULL,
            gave_up {text} NOT NULL,
            record {text} NOT NULL
        ) {clustered}
        """,
    ),
)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the table."""
    event = recorded.event
    if not isinstance(event, WebhookEvent):
        return
    webhooks, name = tables(WEBHOOKS), event.originator_id.partition("/")[2]
    if isinstance(event, events.Created):
        place = (recorded.position, recorded.recorded_at)
        webhooks.put(WebhookRow(name, *place, "active", "", _terms(event)))
        return
    row = webhooks.get(name)
    if row is None:
        raise LookupError(f"{event.TOPIC} at {recorded.position}: no webhook {name}")
    match event:
        case events.Changed():
            row.record, row.asked_at = _terms(event), recorded.recorded_at
        case events.SecretRotated():
            row.asked_at = recorded.recorded_at
        case events.GaveUp():
            row.state, row.gave_up = "given_up", _told(event)
        case events.Resumed():
            row.state, row.gave_up, row.asked_at = "active", "", recorded.recorded_at
        case events.Removed():
            webhooks.delete(name)
            return
        case _:
            raise TypeError(f"the webhooks projection does not know {event.TOPIC}")
    webhooks.put(row)


def _terms(event: events.Created | events.Changed) -> str:
    told = ("url", "types", "subjects", "form", "summaries", "ca_path")
    return orjson.dumps({key: getattr(event, key) for key in told}).decode()


def _told(event: events.GaveUp) -> str:
    told = {"position": event.position, "since": event.since, "reason": event.reason}
    return orjson.dumps(told).decode()


PROJECTION = Projection("webhooks", VERSION, (WEBHOOKS,), (WebhookEvent,), project)
