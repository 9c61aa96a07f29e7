"""Pauses that grow from one failure, or one poll, to the next."""

import random
from dataclasses import dataclass

GROWTHS_MAX = 32


@dataclass(frozen=True)
class Pauses:
    """Pauses that grow from the first to the longest, in seconds."""

    first_s: float
    longest_s: float
    growth: float = 2.0

    def after(self, failures: int, chance: random.Random | None = None) -> float:
        """The pause after so many failures (1 or more).

        `chance` adds jitter: hosts that failed together do not come back together.
        """
        growths = min(failures - 1, GROWTHS_MAX)
        pause_s = min(self.longest_s, self.first_s * self.growth**growths)
        return pause_s if chance is None else pause_s * chance.uniform(0.75, 1.25)
