"""Says how far a long import has come, so that nobody takes it for one that hangs."""

import sys
import time
from collections.abc import Callable

TELL_EVERY_S = 5.0


class HowFar:
    """Counts what is done, and says so on standard error every few seconds."""

    def __init__(self, done: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`done` is what was done with each, as in `hosts read`."""
        self._done = done
        self._total = total
        self._clock = clock
        self._count = 0
        self._told_at = clock()

    def one_more(self) -> None:
        """One more is done."""
        self._count += 1
        if self._clock() - self._told_at >= TELL_EVERY_S:
            self._told_at = self._clock()
            print(f"{self._count} of {self._total} {self._done}", file=sys.stderr, flush=True)
