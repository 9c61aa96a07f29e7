"""Pauses that grow from one failure to the next."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Pauses:
    """Pauses that double from the first to the longest, in seconds."""

    first_s: float
    longest_s: float

    def after(self, failures: int, chance: random.Random) -> float:
        """With jitter, so that hosts that failed together do not come back together."""
        pause = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 32))
        return pause * chance.uniform(0.75, 1.25)
