"""How long ago something was, by a clock that does not jump."""

import asyncio

from domain.event import seconds_between

GAP_S = 120.0
"""Of a time in which nobody asked (a frozen process, a suspended machine) so much counts towards a
limit: what became of the host meanwhile is seen by the next looks."""
KEPT_MAX = 10_000
"""So many are counted at once; of more, those that were counted for longest begin anew."""


class Elapsed:
    """Counts from the time of an event on. That is a time of the machine's clock, which is believed
    once, when it is asked about the event for the first time; after that it may jump.
    """

    def __init__(self) -> None:
        self._counted: dict[str, tuple[float, float]] = {}
        """By what is counted: the seconds so far, and the loop's time then."""

    def seconds(self, what: str, since: str, at: str) -> float:
        """Seconds between an event and now, which `at` is by the machine's clock."""
        clock = asyncio.get_running_loop().time()
        if what not in self._counted:
            if len(self._counted) >= KEPT_MAX:
                self.forget(next(iter(self._counted)))
            self._counted[what] = max(0.0, seconds_between(since, at)), clock
        counted_s, counted_at = self._counted[what]
        counted_s += min(clock - counted_at, GAP_S)
        self._counted[what] = counted_s, clock
        return counted_s

    def forget(self, what: str) -> None:
        """It is over."""
        self._counted.pop(what, None)
