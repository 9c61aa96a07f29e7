"""What an event follows from, and what follows from the same: request → event → runner → event.

An event says the request that it was made for, or the event that a runner worked on
(`host/10.0.0.7@3`). Nothing is indexed by that: the log is read on from where it began, as far as
one answer may look.
"""

from typing import Any, NamedTuple

import orjson

from domain.log import recorder
from domain.log.engine import StoredEvent
from domain.log.reading import search
from domain.log.recorder import Entry, Row, entry_of
from domain.log.transaction import Transaction
from projections.history import Record, told_alone

EXAMINED_MAX = 20_000
"""So many events from the first cause on are looked at."""
CHUNK_EVENTS = 1_000
SHOWN_MAX = 200
STEPS_MAX = 50
"""So many causes one behind the other are followed."""
BEFORE_POSITIONS = 1_000
"""From so far before an event its request may have had others."""


class Node(NamedTuple):
    """An event, and what follows from it."""

    record: Record
    effects: list["Node"]


class Causes(NamedTuple):
    """The tree that an event is in. `request`: what all began with; "" where that is not known."""

    request: str
    nodes: list[Node]
    is_cut: bool
    """There may be more that follows."""


def causes(tx: Transaction, position: int) -> Causes | None:
    """The tree of an event; None where there is no event at this position."""
    asked = _at(tx, position)
    if asked is None:
        return None
    chain = [asked]
    while len(chain) < STEPS_MAX and (cause := _cause(tx, chain[-1])) is not None:
        chain.append(cause)
    root = chain[-1]
    tree = _Tree(_correlation(root.stored.state))
    for entry in reversed(chain):
        tree.add(entry)
    begin = max(0, root.position - 1 - (BEFORE_POSITIONS if tree.request else 0))
    is_cut = tree.grow(tx, begin)
    return Causes(tree.request, tree.nodes(), is_cut)


class _Tree:
    """Events by what they follow from."""

    def __init__(self, of_root: str) -> None:
        self.request = "" if "/" in of_root else of_root
        self._root = of_root or "nothing"
        self._effects: dict[str, list[Entry]] = {}
        self._known: set[int] = set()
        self._names = {self._root}

    def add(self, entry: Entry) -> None:
        """An event that is in the tree."""
        if entry.position not in self._known:
            self._known.add(entry.position)
            self._names.add(_name(entry.stored))
            cause = _correlation(entry.stored.state) or self._root
            self._effects.setdefault(cause, []).append(entry)

    def grow(self, tx: Transaction, begin: int) -> bool:
        """All that follows, as far as it is looked at; whether there may be more."""
        for _ in range(EXAMINED_MAX // CHUNK_EVENTS):
            rows = recorder.rows(tx, begin, CHUNK_EVENTS)
            for row in rows:
                if self._is_in(row):
                    if len(self._known) >= SHOWN_MAX:
                        return True
                    self.add(entry_of(row))
            if len(rows) < CHUNK_EVENTS:
                return False
            begin = rows[-1][0]
        return True

    def _is_in(self, row: Row) -> bool:
        return row[0] not in self._known and _correlation(bytes(row[5])) in self._names

    def nodes(self, cause: str | None = None) -> list[Node]:
        """What follows from a cause, from all that is known by default; oldest first."""
        entries = sorted(self._effects.pop(cause or self._root, ()), key=lambda each: each.position)
        return [Node(told_alone(entry), self.nodes(_name(entry.stored))) for entry in entries]


def _at(tx: Transaction, position: int) -> Entry | None:
    return next(iter(recorder.entries(tx, position - 1, 1, position)), None)


def _cause(tx: Transaction, entry: Entry) -> Entry | None:
    """The event that another follows from."""
    subject, _, version = _correlation(entry.stored.state).rpartition("@")
    if not subject or not version.isdecimal():
        return None
    position = search.position_of(tx, subject, int(version))
    return _at(tx, position) if 0 < position < entry.position else None


def _name(stored: StoredEvent) -> str:
    return f"{stored.originator_id}@{stored.originator_version}"


def _correlation(state: bytes) -> str:
    try:
        # Any: an event that somebody else wrote may say anything.
        told: Any = orjson.loads(state)["correlation"]
    except (ValueError, LookupError, TypeError):
        return ""
    return told if isinstance(told, str) else ""
