"""Whether the log is still the one that this process knew, and what is gone where it is not.

A standby that is promoted with less than its primary had, or a restored backup, is a log that went
back: positions and versions are given out again, for other events. So what is remembered of the
log is remembered under its head (`Place`), and where that head is in the log, all before it is as
it was.
"""

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from domain.aggregates.log_history import NAME, LogHistory, WentBack, told
from domain.event import Recorded
from domain.log import recorder
from domain.log.engine import (
    NOWHERE,
    LogWentBack,
    OperationalError,
    OtherLog,
    Place,
    StoredEvent,
)
from domain.log.mapper import to_event
from domain.log.transaction import NO_SERVER, Server, Transaction

HEADS_KEPT = 10_000
"""So many heads are kept: the newest of them that is in the log still is where the loss begins."""
CHANGES_KEPT = 10_000
"""So many of its own changes a process can name, where they are lost."""
POSITIONS_SKIPPED = 10_000
"""So many positions beyond the known head are never given out: other processes may have seen more
than we, and what is told of a lost position must not be told of another event."""
IS_THERE = """
    SELECT 1 FROM stored_events WHERE position = ? AND recorded_at = ? AND originator_id = ?
    AND originator_version = ?
"""

WENT_BACK_SINCE = """
    SELECT position, recorded_at, originator_id, originator_version, topic, state
    FROM stored_events WHERE originator_id = ? AND position > coalesce(
        (SELECT max(position) FROM stored_events WHERE originator_id = ?), 0
    ) ORDER BY position
"""


class Change(NamedTuple):
    """A change that this process appended."""

    position: int
    recorded_at: str
    subject: str
    version: int
    type: str
    actor: str


class Loss(NamedTuple):
    """The log went back."""

    known: Place
    """The newest entry that this process knew."""
    found: Place
    """The newest entry that there is instead."""
    common: int
    """Up to this position the log is as it was; 0 where nobody here can tell."""
    changes: tuple[Change, ...]
    """Changes of this process that are lost, oldest first."""
    known_server: Server
    """Where the one was, and where the other is."""
    server: Server

    def skip(self, tx: Transaction) -> None:
        """Give out no position that is lost, or may be; under the append lock."""
        recorder.skip(tx, self._end)

    def event(self, process: str) -> WentBack:
        """As the log tells of it."""
        changes = [(c.position, c.type, c.subject, c.actor) for c in self.changes]
        return WentBack(
            process,
            self.known.position,
            self.known.recorded_at,
            self.found.position,
            self.found.recorded_at,
            self.common,
            self._end,
            len(self.changes),
            told(changes),
            "" if self.known_server == NO_SERVER else str(self.known_server),
            "" if self.server == NO_SERVER else str(self.server),
        )

    @property
    def _end(self) -> int:
        return max(self.known.position, self.found.position) + POSITIONS_SKIPPED


class Known(NamedTuple):
    """What a process knew of the log, as far as the next one on its data directory needs it."""

    heads: Sequence[Place] = (NOWHERE,)
    """Oldest first; the last one is the newest entry that it had seen."""
    server: Server | None = None
    changes: Sequence[Change] = ()
    """Its own, oldest first."""


class Continuity:
    """What one process knows of the log, by its writer and by all who read along.

    `known` is what the process before knew. `accepted` names the server whose log is right, though
    it is no continuation of that: until this process goes on with another one, which that server
    would be no continuation of.
    """

    def __init__(self, known: Known = Known(), accepted: str | None = None) -> None:  # noqa: B008 - immutable
        self._accepted = accepted
        self._lock = threading.Lock()
        self._heads: deque[Place] = deque(known.heads, HEADS_KEPT)
        self._changes: deque[Change] = deque(known.changes, CHANGES_KEPT)
        self.server = known.server
        """The database server that was asked last, where it is known."""
        self._moved_at: Place | None = None
        self._wrong_server: OtherLog | None = None
        self.wrong_file: OtherLog | None = None
        """Why nothing is written to the file any more, until the service is started again."""
        self.losses = 0
        """How often the log went back."""
        self.changes_lost = 0

    @property
    def refused(self) -> OtherLog | None:
        """Why nothing is written."""
        return self.wrong_file or self._wrong_server

    @property
    def known(self) -> Place:
        """The newest entry that anybody in this process has seen."""
        return self._heads[-1]

    @property
    def has_moved(self) -> bool:
        """Whether it goes on with another server, and the writer has not left its gap there yet."""
        return self._moved_at is not None

    def kept(self, heads: int, changes: int) -> Known:
        """So much of it, for the next process: of heads the newest, and a few of those before."""
        with self._lock:
            known = list(self._heads)
            own = list(self._changes)
        older = known[: -heads // 2][:: max(1, 2 * HEADS_KEPT // heads)]
        return Known([*older, *known[-heads // 2 :]], self.server, own[-changes:])

    def follow(self, tx: Transaction) -> None:
        """Somebody reads on: raises `LogWentBack` where the log is not what was known."""
        known = self.known  # before anything is read: what is known then can be seen
        found = recorder.newest(tx)
        if self._compare(tx, known, found) is not None:
            raise LogWentBack(f"position {known.position} of the log is not there any more")
        self.advance(found, tx.server)

    def compare(self, tx: Transaction, found: Place) -> Loss | None:
        """What is lost, where the log is not what was known; `found` is its head.

        Under the append lock. Raises `OtherLog` where a person must say which log is right.
        """
        return self._compare(tx, self.known, found)

    def _compare(self, tx: Transaction, known: Place, found: Place) -> Loss | None:
        server = tx.server
        if server is None:
            raise OperationalError("this server is a standby")
        is_known = known == found or recorder.has(tx, known)
        self._must_be_right(server, is_known=is_known)
        if is_known:
            return None
        with self._lock:
            heads, changes = list(self._heads), list(self._changes)
        common = _common(tx, heads)
        lost = (c for c in changes if c.position > common and not _is_there(tx, c))
        return Loss(known, found, common, tuple(lost), self.server or server, server)

    def advance(self, head: Place, server: Server | None) -> None:
        """The log has come to this head, and is a continuation."""
        with self._lock:
            self._go_on_with(server or self.server)
            if head.position > self._heads[-1].position:
                self._heads.append(head)

    def leave_gap(self, tx: Transaction, found: Place) -> None:
        """After a promotion: give out no position that clients of others may know of what was lost,
        though we knew none of it; under the append lock."""
        moved_at = self._moved_at
        if moved_at is not None:
            if not recorder.has_gap(tx, moved_at.position, POSITIONS_SKIPPED):
                recorder.skip(tx, found.position + POSITIONS_SKIPPED)
            self._moved_at = None

    def note(self, recorded: Sequence[Recorded]) -> None:
        """Changes that this process made, and that somebody may have been told of."""
        changes = [
            Change(
                position,
                at,
                event.originator_id,
                event.originator_version,
                event.TOPIC,
                event.actor,
            )
            for position, at, event in recorded
        ]
        with self._lock:
            self._changes.extend(changes)

    def begin_anew(self, loss: Loss) -> None:
        """What is lost was said, and in the log: from here on this log is the one that is known."""
        with self._lock:
            kept = [head for head in self._heads if head.position <= loss.common]
            self._heads = deque([*kept, loss.found], HEADS_KEPT)
            lost = set(loss.changes)
            self._changes = deque((c for c in self._changes if c not in lost), CHANGES_KEPT)
            self._go_on_with(loss.server)
            self._moved_at = None
        self.losses += 1
        self.changes_lost += len(loss.changes)

    def _go_on_with(self, server: Server | None) -> None:
        if self.server not in (None, server) and self._moved_at is None:
            self._moved_at = self._heads[-1]
        self.server = server
        if server is not None and str(server) != self._accepted:
            self._accepted = None

    def _must_be_right(self, now: Server, *, is_known: bool) -> None:
        """A promotion makes a new timeline: an older one is a primary that should be down, and
        another system another cluster, which is right only where it has what is known."""
        known = self.server
        why = self._why_wrong(now, known, is_known=is_known)
        self._wrong_server = (
            None
            if why is None
            else OtherLog(
                f"The server {now} {why} (known: {known}). Nothing is written. Stop it, or, where"
                f" its log is the right one, start with --accept-log {now}."
            )
        )
        if self._wrong_server is not None:
            raise self._wrong_server

    def _why_wrong(self, now: Server, known: Server | None, *, is_known: bool) -> str | None:
        if known is None or now == known or str(now) == self._accepted:
            return None
        if now.system == known.system:
            if now.timeline > known.timeline:
                return None
            return "is a primary from before the failover: others may have gone on without it"
        return (
            None if is_known else "is another database, which does not have what this process knew"
        )


def _is_there(tx: Transaction, change: Change) -> bool:
    return tx.execute(IS_THERE, change[:4]).fetchone() is not None


def _common(tx: Transaction, heads: Sequence[Place]) -> int:
    """The newest of some heads that is in the log; those before it are as well."""
    low, high = 0, len(heads)
    while low < high:
        middle = (low + high) // 2
        if recorder.has(tx, heads[middle]):
            low = middle + 1
        else:
            high = middle
    return heads[low - 1].position if low else 0


def is_lost(tx: Transaction, position: int) -> bool:
    """Whether what had this position was lost when the log went back, or may have been; or it is in
    a gap that was left after a promotion, for what somebody may have known of what was lost."""
    stored = recorder.stream(tx, f"{LogHistory.KIND}/{NAME}")
    found = recorder.place(tx, position)
    recorded_at = found.recorded_at if found.position == position else None
    if (
        recorded_at is None
        and recorder.next_after(tx, position) - found.position > POSITIONS_SKIPPED
    ):
        return True
    return any(
        event.lost(position, recorded_at)
        for event in map(to_event, stored)
        if isinstance(event, WentBack)
    )


def lost_with(tx: Transaction, subject: str) -> tuple[int, str] | None:
    """Position and time of the event that names changes of a subject as lost, where nothing has
    happened to the subject since."""
    rows = tx.execute(WENT_BACK_SINCE, (f"{LogHistory.KIND}/{NAME}", subject)).fetchall()
    for position, recorded_at, originator_id, version, topic, state in rows:
        event = to_event(StoredEvent(originator_id, version, topic, bytes(state)))
        if isinstance(event, WentBack) and event.names(subject):
            return position, recorded_at
    return None
