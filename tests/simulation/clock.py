"""An event loop whose time passes only when everybody waits: hours take milliseconds."""

import asyncio
import random
import selectors
from collections.abc import Callable
from datetime import datetime, timedelta

from domain.event import TIME_FORMAT

A_LONG_TIME_S = 2 * 86_400.0
"""Longer than any story may last."""
BEGIN = datetime.fromisoformat("2026-01-02T03:04:05")


class NothingHappens(Exception):
    """Everybody waits for somebody else: it would be for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """There is no input and no output, so the order of everything is the order of the timers."""

    def __init__(self) -> None:
        self.seconds = 0.0
        super().__init__(_Leaps(self))

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.seconds

    def now(self) -> str:
        """The time as events have it."""
        return (BEGIN + timedelta(seconds=self.seconds)).strftime(TIME_FORMAT)


class Wall:
    """The clock of all machines, which somebody sets now and then; `time()` is never set."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._settings: list[tuple[float, float]] = []
        """In which second it was set, and by how many."""

    def now(self) -> str:
        """The time as events have it."""
        return self._shown(self._time(), self.ahead_s)

    @property
    def ahead_s(self) -> float:
        """By how much it is ahead of what it would be if nobody had set it."""
        return sum(by_s for _, by_s in self._settings)

    def set(self, by_s: float) -> None:
        """Set it ahead by so many seconds, or back."""
        self._settings.append((self._time(), by_s))

    def moved_s(self, first: float, last: float) -> tuple[float, float]:
        """By how much it was set ahead between two seconds, and by how much back."""
        moves = [by_s for at, by_s in self._settings if first <= at <= last]
        return sum(m for m in moves if m > 0), -sum(m for m in moves if m < 0)

    def shown(self, first: float, last: float) -> tuple[str, str]:
        """The earliest and the latest time that it showed between two seconds."""
        ahead_s = sum(by_s for at, by_s in self._settings if at <= first)
        times = [self._shown(first, ahead_s)]
        for at, by_s in self._settings:
            if first < at <= last:
                times += [self._shown(at, ahead_s), self._shown(at, ahead_s + by_s)]
                ahead_s += by_s
        times.append(self._shown(last, ahead_s))
        return min(times), max(times)

    def set_between(self, first: float, last: float) -> list[float]:
        """In which seconds it was set."""
        return [at for at, _ in self._settings if first <= at <= last]

    @staticmethod
    def _shown(second: float, ahead_s: float) -> str:
        return (BEGIN + timedelta(seconds=second + ahead_s)).strftime(TIME_FORMAT)


class Settings:
    """How somebody sets the clock in a story, by its seed: mostly not at all."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"clocks of {seed}")
        self.is_set = self.chance.random() < 0.3
        self.by_s = self.chance.choice([3.0, 1800.0, 4000.0, 7500.0, A_LONG_TIME_S])
        self.times = self.chance.choice([1, 3, 1000])
        """How often it is set, each other time right again."""
        self.is_first_back = self.chance.random() < 0.5
        self.pause_s_max = self.chance.choice([30.0, 300.0])
        self.while_it_waits = self.chance.random() < 0.5
        """Whether it is set where that hurts most: while the operation waits for a time."""


class _Leaps(selectors.SelectSelector):
    """Instead of waiting, moves the clock on."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ever ready."""
        if timeout is None:
            raise NothingHappens
        self._loop.seconds += max(timeout, 0.0)
        return []
