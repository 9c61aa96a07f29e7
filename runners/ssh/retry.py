"""Trying again what may pass: exponential backoff with full jitter."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from runners.ssh.failure import SshFailure

T = TypeVar("T")

ATTEMPTS_MAX = 4
PAUSE_FIRST_S = 0.5  # the longest pause after the first failure; doubles each time
PAUSE_MAX_S = 10.0
TOTAL_MAX_S = 60.0


@dataclass(frozen=True)
class Retries:
    """How often, how long between, and how long in all. Seconds."""

    attempts_max: int = ATTEMPTS_MAX
    pause_first_s: float = PAUSE_FIRST_S
    pause_max_s: float = PAUSE_MAX_S
    total_max_s: float = TOTAL_MAX_S

    def longest_pause_s(self, failures: int) -> float:
        """Between 0 and this many seconds are waited after so many failures (1 or more)."""
        return float(min(self.pause_max_s, self.pause_first_s * 2 ** min(failures - 1, 60)))


async def retrying(
    attempt: Callable[[], Awaitable[T]],
    retries: Retries = Retries(),
    *,
    uniform: Callable[[float, float], float] = random.uniform,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """The result of the first attempt that succeeds; the last SshFailure otherwise.

    A failure that will not pass is raised at once. No attempt starts later than `total_max_s`
    after the first one; an attempt under way is bounded by the limits of its own.
    """
    started = clock()
    failures = 0
    while True:
        try:
            return await attempt()
        except SshFailure as failure:
            failures += 1
            if not failure.passing or failures >= retries.attempts_max:
                raise
            pause_s = uniform(0, retries.longest_pause_s(failures))
            if clock() - started + pause_s > retries.total_max_s:
                raise
        await sleep(pause_s)
