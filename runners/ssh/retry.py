"""Repeats attempts whose failure may pass: exponential backoff with full jitter."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from runners.scheduling.backoff import Pauses
from runners.ssh.failure import SshFailure

T = TypeVar("T")


@dataclass(frozen=True)
class Retries:
    """How many attempts, how long a pause between them is at most, and how long they may take."""

    attempts_max: int = 4
    pause_first_s: float = 0.5
    pause_max_s: float = 10.0
    total_max_s: float = 60.0


async def retrying(
    attempt: Callable[[], Awaitable[T]],
    retries: Retries = Retries(),
    *,
    uniform: Callable[[float, float], float] = random.uniform,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """The result of the first attempt that succeeds; raises the last `SshFailure` otherwise.

    A failure that will not pass is raised at once. No attempt starts later than `total_max_s`
    after the first one; an attempt under way is bounded by the limits of its own.
    """
    pauses = Pauses(retries.pause_first_s, retries.pause_max_s)
    started = clock()
    failures = 0
    while True:
        try:
            return await attempt()
        except SshFailure as failure:
            failures += 1
            if not failure.passing or failures >= retries.attempts_max:
                raise
            pause_s = uniform(0, pauses.after(failures))
            if clock() - started + pause_s > retries.total_max_s:
                raise
        await sleep(pause_s)
