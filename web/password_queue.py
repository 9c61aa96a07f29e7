"""Passwords are hashed one after the other, in turns between clients, away from the event loop.

Without it a client that sends wrong passwords would keep the processors and everybody else's
log-in waiting. Everything but the hash itself happens on the event loop's thread.
"""

import asyncio
import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import bcrypt

from web.authentication import TooManyFailures

MINUTE_S = 60.0
# More than half of the processors would be felt by those who are logged in.
THREADS = max(1, (os.cpu_count() or 1) // 2)
WAITING_PER_CLIENT_MAX = 32
WAITING_MAX = 2048
# What a client is told that found the queue full.
QUEUE_FULL_RETRY_S = 5.0
# Clients whose failures are remembered; each entry has cost its client a hash.
CLIENTS_MAX = 16_384

Key = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True, repr=False)
class Attempt:
    """A password that a client says is the one of a hash.

    `pair` stands for user and password; `recall` says what has been learned about it meanwhile;
    `learn` is told the outcome before anything else happens.
    """

    client: str
    pair: bytes
    password: bytes
    hash: bytes
    recall: Callable[[], bool | None]
    learn: Callable[[bool], None]

    @property
    def key(self) -> Key:
        """What attempts have in common that share a hash; an account that changed has another."""
        return self.client, self.pair, self.hash


class FailureBudget:
    """How many failures that cost a hash each client has left; they come back with time."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        # What was left, and when; a client that is not here has all of it.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Whether the client may fail once more."""
        return self._left_now(client) >= 1

    def charge(self, client: str) -> None:
        """The client has failed."""
        self._left[client] = (self._left_now(client) - 1, self._clock())
        self._left.move_to_end(client)
        if len(self._left) > CLIENTS_MAX:
            self._left.popitem(last=False)

    def retry_after_s(self, client: str) -> float:
        """Seconds until the client may fail once more."""
        return max(0.0, 1 - self._left_now(client)) * MINUTE_S / self._per_minute

    def _left_now(self, client: str) -> float:
        left, at = self._left.get(client, (float(self._per_minute), 0.0))
        return min(self._per_minute, left + (self._clock() - at) * self._per_minute / MINUTE_S)


class PasswordQueue:
    """Checks passwords against bcrypt hashes, a few at a time, each client in its turn."""

    def __init__(
        self,
        failures_per_minute: int,
        threads: int = THREADS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hashed = 0
        self._budget = FailureBudget(failures_per_minute, clock)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        self._running = 0
        self._waiting = 0
        # Whose turn it is comes first.
        self._lines: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._jobs: dict[Key, _Job] = {}

    async def matches(self, attempt: Attempt) -> bool:
        """Whether the password is the hash's; equal attempts of a client share one hash.

        Raises TooManyFailures.
        """
        job = self._jobs.get(attempt.key) or self._enqueue(attempt)
        # Somebody else may be waiting for it as well.
        matched = await asyncio.shield(job.matched)
        if matched is None:
            raise TooManyFailures(self._budget.retry_after_s(attempt.client))
        return matched

    def close(self) -> None:
        """Gives up what waits; a hash under way ends in its thread."""
        for job in [job for line in self._lines.values() for job in line]:
            self._answer(job, None)
        self._lines.clear()
        self._waiting = 0
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _enqueue(self, attempt: Attempt) -> "_Job":
        if not self._budget.allows(attempt.client):
            raise TooManyFailures(self._budget.retry_after_s(attempt.client))
        line = self._lines.get(attempt.client, deque())
        if len(line) >= WAITING_PER_CLIENT_MAX or self._waiting >= WAITING_MAX:
            raise TooManyFailures(QUEUE_FULL_RETRY_S)
        job = _Job(attempt, asyncio.get_running_loop().create_future())
        line.append(job)
        self._lines[attempt.client] = line
        self._jobs[attempt.key] = job
        self._waiting += 1
        self._start_what_fits()
        return job

    def _start_what_fits(self) -> None:
        while self._lines and self._running < self._threads:
            job = self._next()
            known = job.attempt.recall()
            if known is not None or not self._budget.allows(job.attempt.client):
                self._answer(job, known)
                continue
            self._running += 1
            self.hashed += 1
            future = asyncio.get_running_loop().run_in_executor(
                self._pool, bcrypt.checkpw, job.attempt.password, job.attempt.hash
            )
            future.add_done_callback(partial(self._finish, job))

    def _next(self) -> "_Job":
        client, line = next(iter(self._lines.items()))
        job = line.popleft()
        self._waiting -= 1
        self._lines.move_to_end(client)
        if not line:
            del self._lines[client]
        return job

    def _finish(self, job: "_Job", future: asyncio.Future[bool]) -> None:
        self._running -= 1
        failure = None if future.cancelled() else future.exception()
        if future.cancelled():
            self._answer(job, None)
        elif failure is not None:
            self._jobs.pop(job.attempt.key, None)
            job.matched.set_exception(failure)
        else:
            matched = future.result()
            if not matched:
                self._budget.charge(job.attempt.client)
            job.attempt.learn(matched)
            self._answer(job, matched)
        self._start_what_fits()

    def _answer(self, job: "_Job", matched: bool | None) -> None:
        self._jobs.pop(job.attempt.key, None)
        if not job.matched.done():
            job.matched.set_result(matched)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """An attempt that waits or runs; `matched` is None if the client has failed too often."""

    attempt: Attempt
    matched: asyncio.Future[bool | None]
