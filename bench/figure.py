"""One figure: what we take, what the bare parts take in the same run, and what was promised.

The machine is noisy, and shared: both sides are measured in turns, in short rounds, and the figure
is the median of the ratios of the rounds, each between neighbours in time. Its spread is where the
middle half of these ratios lies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal, NamedTuple, TypeVar

Bound = Literal["at least", "at most", "ours at most", "for comparison"]


@dataclass(frozen=True)
class Scale:
    """How long a figure is measured."""

    rounds: int = 15
    seconds: float = 1.0
    """Of load, on each side and in each round."""
    fleet_hosts: int = 24
    fleet_rounds: int = 7
    """Where a round is many hosts, or a start."""

    @classmethod
    def quick(cls) -> "Scale":
        """For a look: the ratios of so short a run wander by a tenth."""
        return cls(rounds=3, fleet_hosts=8, fleet_rounds=3)


@dataclass(frozen=True)
class Figure:
    """One row of the table. `limit` is what issue 3 or 4 asks of the ratio, or of ours alone."""

    name: str
    ours: float
    bare: float
    ratio: float
    unit: str
    bound: Bound
    limit: float | None = None
    spread: tuple[float, float] | None = None
    """The middle half of the ratios of all rounds; None where there was one round."""

    @property
    def value(self) -> float:
        """What is held against the limit."""
        return self.ours if self.bound == "ours at most" else self.ratio

    @property
    def met(self) -> bool | None:
        """Whether it is as promised; None where nothing was."""
        if self.limit is None or self.bound == "for comparison":
            return None
        return self.value >= self.limit if self.bound == "at least" else self.value <= self.limit


class Sample(NamedTuple):
    """One side of one round under load."""

    per_second: float
    cpu_us: float
    """CPU that the process under load took for each request, in microseconds."""


class Cost(NamedTuple):
    """What one side of one round took, in seconds."""

    wall_s: float
    cpu_s: float
    """Of whoever is in charge, not of what it works on."""


Pair = tuple[float, float]
T = TypeVar("T")


def side_by_side(
    name: str,
    ours: Callable[[], float],
    bare: Callable[[], float],
    rounds: int,
    unit: str,
    bound: Bound,
    limit: float | None = None,
) -> Figure:
    """Measure both in turns, beginning with another side each round; the first is not counted."""
    return _figure(name, _in_turns(ours, bare, rounds), unit, bound, limit)


def under_load(
    name: str,
    ours: Callable[[], Sample],
    bare: Callable[[], Sample],
    rounds: int,
    bound: Bound,
    limit: float,
) -> list[Figure]:
    """The same for requests per second; and the CPU of each request, for comparison.

    Others on the machine take time from both, but they do not make a request cost more CPU: where
    the two ratios tell different stories, the machine was busy.
    """
    pairs = _in_turns(ours, bare, rounds)
    rates = [(mine.per_second, theirs.per_second) for mine, theirs in pairs]
    costs = [(mine.cpu_us, theirs.cpu_us) for mine, theirs in pairs]
    return [
        _figure(name, rates, "requests/s", bound, limit),
        _figure(f"  its CPU (bare / ours: {_inverse(costs):.2f})", costs, "µs", "for comparison"),
    ]


def at_a_cost(
    name: str, ours: Callable[[], Cost], bare: Callable[[], Cost], rounds: int, limit: float
) -> list[Figure]:
    """The same for work with an end: how long it takes, and how much CPU."""
    pairs = _in_turns(ours, bare, rounds)
    walls = [(mine.wall_s, theirs.wall_s) for mine, theirs in pairs]
    cpus = [(mine.cpu_s, theirs.cpu_s) for mine, theirs in pairs]
    return [
        _figure(name, walls, "s", "at most", limit),
        _figure("  its CPU", cpus, "s", "at most", limit),
    ]


def _in_turns(ours: Callable[[], T], bare: Callable[[], T], rounds: int) -> list[tuple[T, T]]:
    bare()
    ours()
    pairs = []
    for number in range(rounds):
        if number % 2:
            of_bare = bare()
            pairs.append((ours(), of_bare))
        else:
            of_ours = ours()
            pairs.append((of_ours, bare()))
    return pairs


def _figure(
    name: str, pairs: list[Pair], unit: str, bound: Bound, limit: float | None = None
) -> Figure:
    ratios = [ours / bare for ours, bare in pairs]
    low, _, high = quantiles(ratios, n=4, method="inclusive")
    return Figure(
        name,
        median(ours for ours, _ in pairs),
        median(bare for _, bare in pairs),
        median(ratios),
        unit,
        bound,
        limit,
        (low, high),
    )


def _inverse(pairs: list[Pair]) -> float:
    return median(bare / ours for ours, bare in pairs)
