"""Finding events in the log, a page at a time: each is bounded by what it looks at, not by what
it finds, so that no question about a long log takes long.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import orjson

from domain.log.reading import as_of
from domain.log.recorder import POSITION_MAX, Entry, entry_of, head
from domain.log.transaction import EngineName, Transaction

EXAMINED_MAX = 20_000
"""How many events one page looks at, at most; found or not."""
CHUNK_EVENTS = 100
"""How many are read at once: the state of one event may be large."""


class Filter(NamedTuple):
    """Which events; of all subjects where none is named. Times are when an event was recorded, and
    count themselves."""

    subjects: tuple[str, ...] = ()
    type: str | None = None
    actor: str | None = None
    since: str | None = None
    until: str | None = None


class Page(NamedTuple):
    """What was found. All up to `position` was looked at; `more`: there is more beyond it."""

    entries: list[Entry]
    position: int
    more: bool


# An event's own keys are not escaped in its JSON, and a text that looks the same would be; what
# is found so by chance, in an object inside of it, is looked at once more.
HAS_ACTOR: dict[EngineName, str] = {
    "sqlite": "AND instr(state, ?) > 0",
    "postgresql": "AND position(? IN state) > 0",
}
IN_LOG = """
    SELECT {columns} FROM stored_events WHERE position > ? AND position <= ? {more}
    ORDER BY position LIMIT ?
"""
IN_STREAM = """
    SELECT {columns} FROM stored_events
    WHERE originator_id = ? AND originator_version > ? AND originator_version <= ? {more}
    ORDER BY originator_version LIMIT ?
"""
LOG_END = """
    SELECT max(position), count(*) FROM (
        SELECT position FROM stored_events WHERE position > ? AND position <= ?
        ORDER BY position LIMIT ?
    ) AS examined
"""
VERSION = """
    SELECT position FROM stored_events WHERE originator_id = ? AND originator_version = ?
"""
LAST_VERSION = "SELECT max(originator_version) FROM stored_events WHERE originator_id = ?"


def page(tx: Transaction, which: Filter, after: int, limit: int, bytes_max: int) -> Page:
    """The next events that a filter lets through, in log order.

    Ends early where their states come to `bytes_max`, with one event at least.
    """
    last = POSITION_MAX
    if which.since is not None:
        after = max(after, last_recorded(tx, which.since, before=True))
    if which.until is not None:
        last = last_recorded(tx, which.until)
    if which.subjects:
        parts = [
            _collect(tx, which, _stream(tx, subject, after, last), limit, bytes_max)
            for subject in which.subjects
        ]
        return parts[0] if len(parts) == 1 else _merged(parts, limit, bytes_max)
    if which.type is None and which.actor is None:
        section = _log(tx, after, last, limit + 1)  # what is looked at is found
    else:
        section = _log(tx, after, last, EXAMINED_MAX)
    return _collect(tx, which, section, limit, bytes_max)


class _Section(NamedTuple):
    """A piece of the log, or of one stream, that is short enough to be looked at."""

    sql: str
    key: tuple[str, ...]
    """What comes before the bounds in the parameters."""
    begin: int
    end: int
    """By what it is ordered by: positions, or versions of the stream."""
    position: int
    """Where its end is in the log."""
    more: bool
    column: int
    """Where a row has what it is ordered by."""


def _log(tx: Transaction, after: int, last: int, examined: int) -> _Section:
    end, count = tx.execute(LOG_END, (after, last, examined)).fetchone()
    end = end or after
    return _Section(IN_LOG, (), after, end, end, count == examined, 0)


def position_of(tx: Transaction, subject: str, version: int) -> int:
    """Where the event of this version of a subject is in the log; 0 where there is none."""
    found = tx.execute(VERSION, (subject, version)).fetchone()
    return int(found[0]) if found else 0


def versions(tx: Transaction, subject: str, after: int, last: int) -> tuple[int, int]:
    """Which versions of a subject lie after a position and up to another: beyond one, up to one."""
    newest = tx.execute(LAST_VERSION, (subject,)).fetchone()[0] or 0
    begin = _last(0, newest, lambda version: position_of(tx, subject, version) <= after)
    end = newest
    if last < POSITION_MAX:
        end = _last(begin, newest, lambda version: position_of(tx, subject, version) <= last)
    return begin, end


def _stream(tx: Transaction, subject: str, after: int, last: int) -> _Section:
    begin, stop = versions(tx, subject, after, last)
    end = min(stop, begin + EXAMINED_MAX)
    # Where nothing follows in the stream, all of the log was looked at.
    reached = max(after, min(last, head(tx).position))
    if end < stop:
        reached = position_of(tx, subject, end)
    return _Section(IN_STREAM, (subject,), begin, end, reached, end < stop, 3)


def _merged(parts: Sequence[Page], limit: int, bytes_max: int) -> Page:
    """Several streams in log order, as far as all of them were looked at."""
    whole = max(part.position for part in parts)
    reached = min((part.position for part in parts if part.more), default=whole)
    entries = sorted(
        (entry for part in parts for entry in part.entries if entry.position <= reached),
        key=lambda entry: entry.position,
    )
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.stored.state)
        if count == limit or (count and size > bytes_max):
            return Page(entries[:count], entries[count - 1].position, more=True)
    return Page(entries, reached, any(part.more for part in parts))


def conditions(tx: Transaction, which: Filter) -> tuple[str, list[str | bytes]]:
    """What a statement asks of events for a filter's type and actor, and the values for it."""
    told, values = "", list[str | bytes]()
    if which.type is not None:
        told, values = "AND topic = ?", [which.type]
    if which.actor is not None:
        told = f"{told} {HAS_ACTOR[tx.engine]}"
        values = [*values, b'"actor":' + orjson.dumps(which.actor)]
    return told, values


def _collect(tx: Transaction, which: Filter, section: _Section, limit: int, bytes_max: int) -> Page:
    more, values = conditions(tx, which)
    sql = section.sql.format(columns=as_of.COLUMNS, more=more)
    found: list[Entry] = []
    begin, size = section.begin, 0
    while True:
        wanted = min(limit - len(found), CHUNK_EVENTS)
        rows = tx.execute(sql, (*section.key, begin, section.end, *values, wanted)).fetchall()
        for row in rows:
            entry = entry_of(row)
            if which.actor is not None and not is_by(entry, which.actor):
                continue
            size += len(entry.stored.state)
            if found and size > bytes_max:
                return Page(found, found[-1].position, more=True)
            found.append(entry)
        if len(rows) < wanted:
            return Page(found, section.position, section.more)
        begin = rows[-1][section.column]
        if len(found) == limit:
            return Page(found, found[-1].position, section.more or begin < section.end)


def is_by(entry: Entry, actor: str) -> bool:
    """Whether an event, which has the actor's name in it somewhere, says that they did it."""
    try:
        return bool(orjson.loads(entry.stored.state)["actor"] == actor)
    except (ValueError, LookupError, TypeError):
        return False  # what cannot be read is nobody's


def last_recorded(tx: Transaction, moment: str, *, before: bool = False) -> int:
    """The position of the last entry that was recorded by a moment, or before it; 0: none was."""
    return as_of.by(tx, moment, before=before).position


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The last number up to `high` that it holds for, as it does for all from `low` up to that."""
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
