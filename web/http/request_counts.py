"""What the front counts of requests: plain numbers, cheap enough for every request.

Only the event loop's thread counts and reads, so nothing is locked. `runners.observability.metrics`
gives the numbers their names.
"""

from bisect import bisect_left
from collections import Counter
from typing import Literal, NamedTuple, get_args

SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations; the last bucket has what took longer."""

UNKNOWN_PATH = "unknown"
"""The route of all paths that lead nowhere, so that clients cannot make up new series."""
OTHER_METHOD = "other"
METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"})

LoginRefusal = Literal["missing", "wrong", "too_many", "busy"]


class RequestKind(NamedTuple):
    """Requests that are counted together."""

    route: str
    """The path in the table of routes, with `{name}` for any name."""
    method: str
    status: int


class Durations:
    """How many requests took how long."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(SECONDS_BOUNDS) + 1)
        self.seconds = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets)


class RequestCounts:
    """All that is counted, since the start."""

    def __init__(self) -> None:
        self.requests: dict[RequestKind, Durations] = {}
        self.refused_logins: Counter[LoginRefusal] = Counter(
            dict.fromkeys(get_args(LoginRefusal), 0)
        )

    def add(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        # A plain tuple finds a RequestKind: they are equal.
        durations = self.requests.get((route, method, status))  # type: ignore[call-overload]
        if durations is None:
            method = method if method in METHODS else OTHER_METHOD
            durations = self.requests.setdefault(RequestKind(route, method, status), Durations())
        durations.buckets[bisect_left(SECONDS_BOUNDS, seconds)] += 1
        durations.seconds += seconds
