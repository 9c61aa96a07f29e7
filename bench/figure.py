"""One figure: what we take, what the bare parts take in the same run, and what was promised.

The machine is noisy, and shared: both sides are measured in turns, and the figure is the median
of the ratios of the rounds, each between neighbours in time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Literal

Bound = Literal["at least", "at most", "ours at most", "for comparison"]


@dataclass(frozen=True)
class Scale:
    """How long a figure is measured."""

    rounds: int = 7
    seconds: float = 3.0
    """Of load, on each side and in each round."""
    fleet_hosts: int = 24

    @classmethod
    def quick(cls) -> "Scale":
        """For a look: the ratios of so short a run wander by a tenth."""
        return cls(rounds=3, seconds=1.0, fleet_hosts=8)


@dataclass(frozen=True)
class Figure:
    """One row of the table. `limit` is what issue 3 asks of the ratio, or of ours alone."""

    name: str
    ours: float
    bare: float
    ratio: float
    unit: str
    bound: Bound
    limit: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether it is as promised; None where nothing was."""
        match self.bound:
            case "at least":
                return self.limit is None or self.ratio >= self.limit
            case "at most":
                return self.limit is None or self.ratio <= self.limit
            case "ours at most":
                return self.limit is None or self.ours <= self.limit
            case "for comparison":
                return None


Measure = Callable[[], float]


def side_by_side(
    name: str,
    ours: Measure,
    bare: Measure,
    scale: Scale,
    unit: str,
    bound: Bound,
    limit: float | None = None,
) -> Figure:
    """Measure both in turns, beginning with another side each round."""
    pairs = []
    for number in range(scale.rounds):
        if number % 2:
            of_bare = bare()
            pairs.append((ours(), of_bare))
        else:
            of_ours = ours()
            pairs.append((of_ours, bare()))
    return Figure(
        name,
        median(pair[0] for pair in pairs),
        median(pair[1] for pair in pairs),
        median(pair[0] / pair[1] for pair in pairs),
        unit,
        bound,
        limit,
    )
