"""Finding events from the newest back, a page at a time: bounded by what it looks at, as
`search.page` is.
"""

from collections.abc import Iterator
from typing import NamedTuple

from domain.log.reading import as_of, search
from domain.log.reading.search import EXAMINED_MAX, Filter, Page
from domain.log.recorder import Entry, entry_of
from domain.log.transaction import Transaction

CHUNK_EVENTS = 100
"""How many are read at once."""
IN_LOG = """
    SELECT {columns} FROM stored_events WHERE position > ? AND position <= ? {more}
    ORDER BY position DESC LIMIT ?
"""
IN_STREAM = """
    SELECT {columns} FROM stored_events
    WHERE originator_id = ? AND originator_version > ? AND originator_version <= ? {more}
    ORDER BY originator_version DESC LIMIT ?
"""
LOG_BEGIN = """
    SELECT min(position), count(*) FROM (
        SELECT position FROM stored_events WHERE position > ? AND position <= ?
        ORDER BY position DESC LIMIT ?
    ) AS examined
"""


class _Section(NamedTuple):
    """A piece of the log, or of one stream, that is short enough to be looked at."""

    sql: str
    key: tuple[str, ...]
    """What comes before the bounds in the parameters."""
    begin: int
    end: int
    """By what it is ordered by: positions, or versions of the stream."""
    position: int
    """The oldest position that was looked at."""
    more: bool
    column: int
    """Where a row has what it is ordered by."""


def page(tx: Transaction, which: Filter, before: int, limit: int) -> Page:
    """The newest events before a position that a filter lets through, newest first.

    Of one subject at most. What follows is before the page's `position`.
    """
    first, last = 0, before - 1
    if which.since is not None:
        first = search.last_recorded(tx, which.since, before=True)
    if which.until is not None:
        last = min(last, search.last_recorded(tx, which.until))
    if which.subjects:
        section = _stream(tx, which.subjects[0], first, last)
    else:
        alone = which.type is None and which.actor is None  # what is looked at is found
        section = _log(tx, first, last, limit + 1 if alone else EXAMINED_MAX)
    found: list[Entry] = []
    for entry in _found(tx, which, section):
        if len(found) == limit:
            return Page(found, found[-1].position, more=True)
        found.append(entry)
    return Page(found, section.position, section.more)


def _log(tx: Transaction, first: int, last: int, examined: int) -> _Section:
    begin, count = tx.execute(LOG_BEGIN, (first, last, examined)).fetchone()
    begin = begin or last + 1
    return _Section(IN_LOG, (), begin - 1, last, begin, count == examined, 0)


def _stream(tx: Transaction, subject: str, first: int, last: int) -> _Section:
    begin, end = search.versions(tx, subject, first, last)
    oldest = max(begin, end - EXAMINED_MAX)
    position = search.position_of(tx, subject, oldest + 1) if oldest > begin else first + 1
    return _Section(IN_STREAM, (subject,), oldest, end, position, oldest > begin, 3)


def _found(tx: Transaction, which: Filter, section: _Section) -> Iterator[Entry]:
    conditions, values = search.conditions(tx, which)
    sql = section.sql.format(columns=as_of.COLUMNS, more=conditions)
    end = section.end
    while True:
        params = (*section.key, section.begin, end, *values, CHUNK_EVENTS)
        rows = tx.execute(sql, params).fetchall()
        for row in rows:
            entry = entry_of(row)
            if which.actor is None or search.is_by(entry, which.actor):
                yield entry
        if len(rows) < CHUNK_EVENTS:
            return
        end = rows[-1][section.column] - 1
