"""The windows as they are defined; whether one is open is worked out for the time that is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from domain.aggregates.planning import window as events
from domain.aggregates.planning.window import Hours, WindowEvent
from domain.event import Recorded
from domain.log.transaction import Transaction
from projections.projection import Projection
from projections.tables import Table, TableAccess

VERSION = 1


@dataclass(slots=True)
class WindowRow:
    """One window. `except_dates` is a list as JSON."""

    name: str
    zone: str
    starts: str
    duration_s: int
    except_dates: str


WINDOWS = Table(
    "windows",
    WindowRow,
    (
        """
        CREATE TABLE IF NOT EXISTS {table} (
            name {text} PRIMARY KEY,
            zone {text} NOT NULL,
            starts {text} NOT NULL,
            duration_s BIGINT NOT NULL,
            except_dates {text} NOT NULL
        ) {clustered}
        """,
    ),
)


def project(recorded: Recorded, tables: TableAccess) -> None:
    """Fold one event into the table."""
    event = recorded.event
    if not isinstance(event, WindowEvent):
        return
    windows = tables(WINDOWS)
    name = event.originator_id.partition("/")[2]
    match event:
        case events.Defined():
            dates = orjson.dumps(event.except_dates).decode()
            windows.put(WindowRow(name, event.zone, event.starts, event.duration_s, dates))
        case events.Removed():
            windows.delete(name)
        case events.TakenUp() | events.Released():
            pass  # not part of the record
        case _:
            raise TypeError(f"the windows projection does not know {event.TOPIC}")


PROJECTION = Projection("windows", VERSION, (WINDOWS,), (WindowEvent,), project)


# Queries

COLUMNS = "name, zone, starts, duration_s, except_dates"


def window(tx: Transaction, name: str, at: str) -> bytes | None:
    """The record of one window, as of a time."""
    found = tx.execute(f"SELECT {COLUMNS} FROM windows WHERE name = ?", (name,)).fetchone()  # noqa: S608 - a constant of ours
    return orjson.dumps(_record(found, at)) if found else None


def windows(tx: Transaction, at: str) -> bytes:
    """A JSON list of all windows as of a time, sorted by name."""
    rows = tx.execute(f"SELECT {COLUMNS} FROM windows").fetchall()  # noqa: S608 - a constant of ours
    return orjson.dumps([_record(row, at) for row in sorted(rows)])


# Any: a row of the database, and plain JSON.
def _record(row: tuple[Any, ...], at: str) -> Mapping[str, Any]:
    name, zone, starts, duration_s, except_dates = row
    dates = orjson.loads(except_dates)
    opening = Hours(zone, starts, duration_s, tuple(dates)).opening(at)
    return {
        "name": name,
        "zone": zone,
        "starts": starts,
        "duration_s": duration_s,
        "except": dates,
        "open": opening.is_open,
        "until": opening.until,
        "next": opening.next,
    }
