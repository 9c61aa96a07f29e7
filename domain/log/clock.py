"""The machine's clock, held against the times in the log.

Times in the log do not decrease. A clock that was ahead for an hour would keep all that comes after
at that hour's times, and so hide it from whoever asks about a time: so the log says that the clock
was set back, and its times begin anew there.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from domain.log import recorder
from domain.log.engine import Head, Place

BEHIND_MAX = timedelta(hours=1)
"""So far may the clock be behind the newest entry: entries are stamped with that one's time."""
AHEAD_MAX = timedelta(days=365)
"""So long may nothing have been recorded before a start: more is taken for a wrong clock."""
SETTLED_S = 60.0
"""A machine that boots or goes on sets its clock by the network: so long it is not believed."""
EARLIEST = "2026-01-01T00:00:00.000000"
"""A clock before this is one that nobody has set: there was no Commissaire then."""

Away = Literal["", "behind", "ahead"]


def away(now: str, head: Head | Place) -> Away:
    """Whether a clock is too far from the newest entry of a log to be of the same time."""
    if not head.position:
        return ""
    past = datetime.fromisoformat(now) - datetime.fromisoformat(head.recorded_at)
    if past < -BEHIND_MAX:
        return "behind"
    return "ahead" if past > AHEAD_MAX else ""


class LogClock:
    """Says when the times of the log are to begin anew. Of the writer's thread."""

    def __init__(
        self,
        now: Callable[[], str] = recorder.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = now
        self._monotonic = monotonic
        self._behind_since: float | None = None

    def is_set_back(self, head: Head | Place) -> bool:
        """Whether the clock is behind this entry for good, as far as anybody can tell."""
        now = self.now()
        if now >= head.recorded_at or now < EARLIEST or away(now, head) != "behind":
            self._behind_since = None
            return False
        if self._behind_since is None:
            self._behind_since = self._monotonic()
        return self._monotonic() - self._behind_since >= SETTLED_S

    def why_away(self, head: Head | Place) -> tuple[Away, str]:
        """How the clock is away from an entry, and a sentence on it; both "" where it is not."""
        now = self.now()
        how = away(now, head)
        if not how:
            return "", ""
        more = "before" if how == "behind" else "long after"
        return how, (
            f"The clock says {now}, which is {more} {head.recorded_at}, the time of the newest"
            f" entry of the log when the service started (position {head.position})."
        )
