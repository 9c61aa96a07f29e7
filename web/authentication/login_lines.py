"""Whose password is checked next, while more of them wait than can be checked at once."""

from collections import Counter, OrderedDict
from enum import IntEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Rank(IntEnum):
    """How likely somebody is who they say they are, and still there."""

    KNOWN = 0
    """The user or the address has logged in before."""
    STRANGER = 1
    LEAVING = 2
    """The client has closed its half of the connection."""


class LoginLines(Generic[T]):
    """Lines by name, in ranks. The first two ranks alternate; the last waits until both are empty.

    Within a rank a new line comes first, and one that had its turn last; within a line, the newest
    comes first. So a flood that came before holds up nobody who comes after it.
    """

    def __init__(self) -> None:
        self._lines: dict[Rank, OrderedDict[str, dict[T, None]]] = {
            rank: OrderedDict() for rank in Rank
        }
        self._places: dict[T, tuple[Rank, str]] = {}
        self._counts: Counter[Rank] = Counter()
        self._last = Rank.STRANGER

    def __len__(self) -> int:
        """How many wait."""
        return len(self._places)

    def __contains__(self, item: T) -> bool:
        """Whether a log-in waits."""
        return item in self._places

    def count(self, rank: Rank) -> int:
        """How many of a rank wait."""
        return self._counts[rank]

    def rank(self, item: T) -> Rank:
        """The rank in which a log-in waits."""
        return self._places[item][0]

    def add(self, item: T, rank: Rank, name: str) -> None:
        """Put a log-in into this line."""
        lines = self._lines[rank]
        if name not in lines:
            lines[name] = {}
            lines.move_to_end(name, last=False)
        lines[name][item] = None
        self._places[item] = rank, name
        self._counts[rank] += 1

    def remove(self, item: T) -> None:
        """Take a log-in out of its line."""
        rank, name = self._places.pop(item)
        line = self._lines[rank][name]
        del line[item]
        if not line:
            del self._lines[rank][name]
        self._counts[rank] -= 1

    def take(self) -> T | None:
        """Whose turn it is; they wait no more."""
        rank = self._whose_turn()
        if rank is None:
            return None
        self._last = rank
        name, line = next(iter(self._lines[rank].items()))
        item = next(reversed(line))
        self._lines[rank].move_to_end(name)
        self.remove(item)
        return item

    def oldest(self, rank: Rank) -> T:
        """Who has waited for longest, in the line whose turn comes last."""
        return next(iter(next(reversed(self._lines[rank].values()))))

    def _whose_turn(self) -> Rank | None:
        first = Rank.STRANGER if self._last is Rank.KNOWN else Rank.KNOWN
        second = Rank.KNOWN if first is Rank.STRANGER else Rank.STRANGER
        return next((rank for rank in (first, second, Rank.LEAVING) if self._counts[rank]), None)
