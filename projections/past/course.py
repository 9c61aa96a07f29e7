"""How many hosts had which status over the time of the log, and when hosts failed.

Kept in memory as far as it was asked for, and read on from there: the log has no index by type,
and a chart needs all of it. Of a long log every second, fourth … point is kept.
"""

from collections import Counter
from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

import orjson

from domain.aggregates import host_events as events
from domain.log import recorder
from domain.log.engine import NOWHERE
from domain.log.transaction import Transaction

READ_POSITIONS = 50_000
"""How far one read goes: a long one would be in others' way."""
POINTS_MAX = 1_024

STATUSES = ("active", "disassociated", "bootstrapping", "investigating", "failed")
BECOMES = {
    events.Registered.TOPIC: "investigating",
    events.Bootstrapped.TOPIC: "disassociated",
    events.Activated.TOPIC: "active",
    events.Failed.TOPIC: "failed",
}
"""What a host is after an event, whatever it was before."""
TOPICS = (
    *BECOMES,
    events.Recovered.TOPIC,
    events.FactsGathered.TOPIC,
    events.LeftCluster.TOPIC,
    events.Removed.TOPIC,
)
CHANGES = f"""
    SELECT position, recorded_at, originator_id, topic, state FROM stored_events
    WHERE position > ? AND position <= ? AND topic IN ({", ".join("?" * len(TOPICS))})
    ORDER BY position
"""  # noqa: S608 - constants of ours
Change = tuple[int, str, str, str, bytes]


class Point(NamedTuple):
    """From when on how many hosts had each of `STATUSES`."""

    time: str
    counts: tuple[int, ...]


class Failures(NamedTuple):
    """So many hosts failed, the first of them then."""

    time: str
    hosts: int


class Course:
    """The course of the fleet, up to where the log was read. Of any thread."""

    def __init__(self) -> None:
        self._reading = Lock()
        self._begin()

    def _begin(self) -> None:
        self.place = NOWHERE
        self.is_whole = False
        """Whether all of the log was read."""
        self.points: list[Point] = []
        self.failures: list[Failures] = []
        self._status: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._stride = 1
        self._left = 0
        """So many changes go by without a point."""

    def read_on(self, tx: Transaction) -> bool:
        """Go on with the next piece of the log; whether there is more beyond it."""
        with self._reading:  # who asked may have left, and its thread goes on
            head = recorder.newest(tx)
            if not recorder.has(tx, self.place):  # the log went back
                self._begin()
            begin = self.place.position
            reached = recorder.place(tx, min(begin + READ_POSITIONS, head.position))
            if reached.position == begin < head.position:  # nothing but a gap
                reached = recorder.place(tx, recorder.next_after(tx, begin))
            found = tx.execute(CHANGES, (begin, reached.position, *TOPICS)).fetchall()
            # From here on nothing fails: no piece is counted twice.
            self._add(found)
            self.place = reached
            self.is_whole = reached.position >= head.position
            return not self.is_whole

    def so_far(self) -> "Course":
        """What was read up to now, which stays as it is; it cannot be read on."""
        found = Course()
        found.place, found.is_whole = self.place, self.is_whole
        found.points, found.failures = [*self.points], [*self.failures]
        found._counts = Counter(self._counts)
        return found

    def _add(self, changes: Iterable[Change]) -> None:
        for _, time, host, topic, state in changes:
            was = self._status.get(host, "")
            status = _after(was, topic, state)
            if topic == events.Failed.TOPIC and was != "failed":
                self._fail(time)
            if status == was:
                continue
            self._counts[was] -= 1
            self._counts[status] += 1
            if status:
                self._status[host] = status
            else:
                self._status.pop(host, None)
            self._note(time)

    def _note(self, time: str) -> None:
        counts = tuple(self._counts[status] for status in STATUSES)
        if self.points and self.points[-1].time == time:
            self.points[-1] = Point(time, counts)
        elif self._left:
            self._left -= 1
        else:
            self.points.append(Point(time, counts))
            self._left = self._stride - 1
        if len(self.points) > POINTS_MAX:
            self.points = self.points[::2]
            self._stride *= 2

    def _fail(self, time: str) -> None:
        failures = self.failures
        if failures and failures[-1].time == time:
            failures[-1] = Failures(time, failures[-1].hosts + 1)
            return
        failures.append(Failures(time, 1))
        if len(failures) > POINTS_MAX:
            pairs = zip(failures[::2], [*failures[1::2], Failures("", 0)], strict=False)
            self.failures = [Failures(a.time, a.hosts + b.hosts) for a, b in pairs]

    @property
    def now(self) -> tuple[int, ...]:
        """How many hosts have each of `STATUSES` where the log was read up to."""
        return tuple(self._counts[status] for status in STATUSES)


def _after(was: str, topic: str, state: bytes) -> str:
    """The status of a host after an event; "" of one that is gone."""
    if topic == events.Recovered.TOPIC:
        return str(orjson.loads(state).get("status", was))
    if topic == events.FactsGathered.TOPIC:
        return "bootstrapping" if was == "investigating" else was
    if topic == events.LeftCluster.TOPIC:
        return "disassociated" if was == "active" else was
    if topic == events.Removed.TOPIC:
        return ""
    return BECOMES[topic]
