"""`commissaire log export`: the log as lines, to its end or as it goes on."""

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from domain.log.reading.search import Filter, last_recorded, page
from domain.log.recorder import POSITION_MAX, Entry, head
from domain.log.tree.leaf import leaf
from runners.cli.log.shipping import Target
from runners.cli.output import progress
from runners.database.existing import DatabaseRefused
from web.events.cloud_events import cloud_event

if TYPE_CHECKING:
    from domain.log.engine import Engine

PAGE_EVENTS = 1000
PAGE_BYTES = 4 * 1024 * 1024
LOOK_EVERY_S = 1.0


class Export(NamedTuple):
    """Which events; up to a position, or without an end."""

    which: Filter
    last: int | None
    follow: bool
    rows: bool = False
    """As the log's tree has them, instead of CloudEvents."""


def exported(engine: "Engine", export: Export, after: int, target: Target) -> None:
    """Write what follows a position to where it belongs, a transaction for each page."""
    end = _end(engine, export, after)
    target.write(b"", after)  # from here on what is in the file is ours
    shown = None if export.follow or sys.stdout.isatty() else end
    with progress("exporting the log", shown) as advance:
        while True:
            after = _up_to(engine, export, after, end, target)
            advance(after)
            if after >= end:
                if not export.follow:
                    return
                time.sleep(LOOK_EVERY_S)
                end = _end(engine, export, after)


def _end(engine: "Engine", export: Export, after: int) -> int:
    """Up to where to write. Raises where the log ends before what was said or written already."""
    with engine.snapshot() as tx:
        end, until = head(tx).position, export.which.until
        wanted = POSITION_MAX if until is None else last_recorded(tx, until)
    if after > end:
        raise DatabaseRefused(f"The log ends at position {end}, before {after}.")
    return min(end, wanted, POSITION_MAX if export.last is None else export.last)


def _up_to(engine: "Engine", export: Export, after: int, end: int, target: Target) -> int:
    """Write one page; returns how far that is."""
    if after >= end:
        return after
    with engine.snapshot() as tx:
        found = page(tx, export.which, after, PAGE_EVENTS, PAGE_BYTES)
    form = row if export.rows else cloud_event
    lines = b"".join(form(e) + b"\n" for e in found.entries if e.position <= end)
    position = found.position if found.more else end
    target.write(lines, min(position, end))
    return position


def row(entry: Entry) -> bytes:
    """An event as it is hashed: `domain/log/tree/leaf.py`."""
    stored = entry.stored
    place = (entry.position, entry.recorded_at, str(stored.originator_id))
    return leaf(*place, stored.originator_version, stored.topic, stored.state)
