"""How far it is, on standard error: a large fleet takes minutes, and nobody waits in silence."""

import sys
import time
from collections.abc import Callable, Collection, Iterator

EVERY_S = 5.0
"""Seconds between two lines: what takes less says nothing."""


class Progress:
    """Tells how far it is, every five seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told = clock()

    def tell(self, done: int, wanted: int, what: str) -> None:
        """A line such as `500 of 5,000 hosts read.`, unless there was one just now."""
        now = self._clock()
        if now - self._told >= EVERY_S:
            self._told = now
            print(f"{done:,} of {wanted:,} {what}.", file=sys.stderr, flush=True)

    def through(self, names: Collection[str], what: str) -> Iterator[str]:
        """The names, one after the other; before each how many there were."""
        for done, name in enumerate(names):
            self.tell(done, len(names), what)
            yield name
