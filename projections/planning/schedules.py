"""The schedules as they are defined, and what became of their last firing."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import orjson

from domain.aggregates.planning import schedule_events as events
from domain.aggregates.planning.firings import firings
from domain.aggregates.planning.schedule_events import ScheduleEvent
from domain.event import Recorded
from domain.log.transaction import Transaction
from projections.projection import Projection
from projections.tables import Rows, Table, TableAccess

VERSION = 1
FIRINGS_SHOWN = 5


@dataclass(slots=True)
class ScheduleRow:
    """One schedule. `operation` and `last` are JSON; `defined_by`: who defined it last."""

    name: str
    cluster: str
    cron: str
    zone: str
    operation: str
    defined_by: str
    defined_at: str
    handled: str
    last: str


SCHEDULES = Table(
    "schedules",
    ScheduleRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            cluster {text} NOT NULL,
            cron {text} NOT NULL,
            zone {text} NOT NULL,
            operation {text} NOT NULL,
            defined_by {text} NOT NULL,
            defined_at {text} NOT NULL,
            handled {text} NOT NULL,
            last {text} NOT NULL
        ) {clustered}
        """,
    ),
)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the table."""
    event = recorded.event
    if not isinstance(event, ScheduleEvent):
        return
    schedules = tables(SCHEDULES)
    name = event.originator_id.partition("/")[2]
    match event:
        case events.Defined():
            before = schedules.get(name)
            operation = orjson.dumps(event.operation).decode()
            schedules.put(
                ScheduleRow(
                    name,
                    event.operation["cluster"],
                    event.cron,
                    event.zone,
                    operation,
                    event.actor,
                    event.at,
                    event.at,
                    before.last if before else "null",
                )
            )
        case events.Fired() | events.NotBegun() | events.Missed():
            row = _existing(schedules, name)
            row.handled, row.last = event.due, orjson.dumps(_told(event)).decode()
            schedules.put(row)
        case events.SetBack():
            row = _existing(schedules, name)
            row.handled = event.after
            schedules.put(row)
        case events.Removed():
            schedules.delete(name)
        case _:
            raise TypeError(f"the schedules projection does not know {event.TOPIC}")


def _existing(schedules: Rows[ScheduleRow], name: str) -> ScheduleRow:
    row = schedules.get(name)
    if row is None:
        raise LookupError(f"schedule {name} was not defined")
    return row


# Any: plain JSON.
def _told(event: events.Fired | events.NotBegun | events.Missed) -> Mapping[str, Any]:
    """What became of a firing, as a record has it."""
    outcome, operation, reason = "begun", None, None
    match event:
        case events.Fired():
            operation = event.operation
        case events.NotBegun():
            outcome, reason = "not_begun", event.reason
        case events.Missed():
            all_of_them = f", with {event.count - 1} before from {event.first} on"
            more = all_of_them if event.count > 1 else ""
            outcome, reason = "missed", f"The service was not there in time{more}."
    return {"due": event.due, "outcome": outcome, "operation": operation, "reason": reason}


PROJECTION = Projection("schedules", VERSION, (SCHEDULES,), (ScheduleEvent,), project)


# Queries

COLUMNS = "name, cron, zone, operation, defined_by, defined_at, handled, last"


class Timing(NamedTuple):
    """When a schedule fires, and up to when what was due is dealt with."""

    cron: str
    zone: str
    handled: str


def schedule(tx: Transaction, name: str, at: str) -> bytes | None:
    """The record of one schedule, as of a time."""
    sql = f"SELECT {COLUMNS} FROM schedules WHERE name = ?"  # noqa: S608 - a constant of ours
    found = tx.execute(sql, (name,)).fetchone()
    return orjson.dumps(_record(found, at)) if found else None


def schedules(tx: Transaction, at: str) -> bytes:
    """A JSON list of all schedules as of a time, sorted by name."""
    rows = tx.execute(f"SELECT {COLUMNS} FROM schedules").fetchall()  # noqa: S608 - a constant of ours
    return orjson.dumps([_record(row, at) for row in sorted(rows)])


def cluster_of(tx: Transaction, name: str) -> str:
    """The cluster that a schedule acts on; "" where there is none."""
    found = tx.execute("SELECT cluster FROM schedules WHERE name = ?", (name,)).fetchone()
    return str(found[0]) if found else ""


def names(tx: Transaction) -> list[str]:
    """The names of all schedules."""
    return [row[0] for row in tx.execute("SELECT name FROM schedules").fetchall()]


def timing(tx: Transaction, name: str) -> Timing | None:
    """When one fires; None where there is none of that name."""
    sql = "SELECT cron, zone, handled FROM schedules WHERE name = ?"
    found = tx.execute(sql, (name,)).fetchone()
    return Timing(*found) if found else None


def _record(row: tuple[Any, ...], at: str) -> Mapping[str, Any]:
    name, cron, zone, operation, defined_by, defined_at, handled, last = row
    return {
        "name": name,
        "cron": cron,
        "zone": zone,
        "operation": orjson.loads(operation),
        "defined_by": defined_by,
        "defined_at": defined_at,
        "next": list(islice(firings(cron, zone, max(at, handled)), FIRINGS_SHOWN)),
        "last": orjson.loads(last),
    }
