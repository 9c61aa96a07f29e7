"""Passwords are hashed one after the other, in turns, away from the event loop.

Without it a client that sends wrong passwords would keep the processors and everybody else's
log-in waiting. Who has logged in before waits in a line of their own, and what a client has sent
that is gone is dropped. Everything but the hash itself happens on the event loop's thread.
"""

import asyncio
import os
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import bcrypt

from web.authentication.authentication import NO_PASSWORD, LogInsBusy, TooManyFailures
from web.authentication.login_lines import LoginLines, Rank
from web.authentication.passwords import hashed
from web.authentication.presence import Presence

MINUTE_S = 60.0
# More than half of the processors would be felt by those who are logged in.
THREADS = max(1, (os.cpu_count() or 1) // 2)
WAITING_PER_CLIENT_MAX = 32
# Beyond it whoever has waited longest is told to come back. Of those who closed their half of the
# connection nearly all are gone.
WAITING_MAX = {Rank.KNOWN: 2048, Rank.STRANGER: 2048, Rank.LEAVING: 8}
# Most clients give up before that.
WAIT_S_MAX = 30.0
# Clients whose failures are remembered; each entry has cost its client a hash.
CLIENTS_MAX = 16_384
# Users and addresses that have logged in, of which it is remembered.
KNOWN_MAX = 16_384

Key = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Attempt:
    """A password that a client says is the one of a user, whose hash this is.

    `presence` is that of the client. `pair` stands for user and password; `recall` says what has
    been learned about it meanwhile; `learn` is told the outcome before anything else happens.
    """

    client: str
    presence: Presence
    user: str
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
        """Count a failed log-in of the client."""
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
        self._lines: LoginLines[_Job] = LoginLines()
        self._waiting_of: Counter[str] = Counter()
        self._jobs: dict[Key, _Job] = {}
        # Names of lines; who logged in last comes last.
        self._known: OrderedDict[str, None] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._lines)

    async def matches(self, attempt: Attempt) -> bool:
        """Whether the password is the hash's; equal attempts of a client share one hash.

        Raises TooManyFailures and LogInsBusy. Cancelled, it takes back what nobody else waits for.
        """
        job = self._jobs.get(attempt.key) or self._enqueue(attempt)
        job.asking.add(attempt)
        if job in self._lines and self._lines.rank(job) is Rank.LEAVING:
            self._lines.remove(job)
            self._line_up(job)
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                # Somebody else may be waiting for it as well.
                return await asyncio.shield(job.matched)
        except TimeoutError:
            raise LogInsBusy from None
        finally:
            job.asking.discard(attempt)
            if not job.asking and job in self._lines:
                self._lines.remove(job)
                self._left(job)
                del self._jobs[job.attempt.key]

    async def new_hash(self, secret: bytes, known: bytes = NO_PASSWORD) -> bytes:
        """The hash of a password that somebody sets: the one that is known, where it is of that.

        It takes the turn of a log-in.
        """

        def work() -> bytes:
            is_known = known != NO_PASSWORD and bcrypt.checkpw(secret, known)
            return known if is_known else hashed(secret)

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Gives up what waits; a hash under way ends in its thread."""
        while (job := self._lines.take()) is not None:
            self._left(job)
            self._settle(job, LogInsBusy())
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _enqueue(self, attempt: Attempt) -> "_Job":
        if not self._budget.allows(attempt.client):
            raise self._too_many(attempt.client)
        if self._waiting_of[attempt.client] >= WAITING_PER_CLIENT_MAX:
            raise LogInsBusy
        job = _Job(attempt)
        job.asking.add(attempt)
        self._jobs[attempt.key] = job
        self._waiting_of[attempt.client] += 1
        self._line_up(job)
        self._start_what_fits()
        return job

    def _line_up(self, job: "_Job") -> None:
        """Take the place that is due; where there is none left, whoever waited longest goes."""
        attempt, lines = job.attempt, self._lines
        of_address, of_user = _line_of_address(attempt), _line_of_user(attempt)
        if job.is_leaving:
            lines.add(job, Rank.LEAVING, of_user)
        elif of_address in self._known:
            lines.add(job, Rank.KNOWN, of_address)
        else:
            lines.add(job, Rank.KNOWN if of_user in self._known else Rank.STRANGER, of_user)
        for rank, most in WAITING_MAX.items():
            if lines.count(rank) > most:
                self._send_away(lines.oldest(rank))

    def _send_away(self, job: "_Job") -> None:
        self._lines.remove(job)
        self._left(job)
        self._settle(job, LogInsBusy())

    def _left(self, job: "_Job") -> None:
        """Forget a log-in that nobody waits for any more."""
        client = job.attempt.client
        self._waiting_of[client] -= 1
        if not self._waiting_of[client]:
            del self._waiting_of[client]

    def _start_what_fits(self) -> None:
        while self._running < self._threads and (job := self._next()) is not None:
            self._left(job)
            attempt = job.attempt
            known = attempt.recall()
            if known is not None:
                self._settle(job, known)
                continue
            if not self._budget.allows(attempt.client):
                self._settle(job, self._too_many(attempt.client))
                continue
            self._running += 1
            self.hashed += 1
            future = asyncio.get_running_loop().run_in_executor(
                self._pool, bcrypt.checkpw, attempt.password, attempt.hash
            )
            future.add_done_callback(partial(self._finish, job))

    def _next(self) -> "_Job | None":
        """Whose turn it is; clients that may have left come after all others."""
        lines = self._lines
        while (job := lines.take()) is not None:
            if not job.is_leaving or not lines.count(Rank.KNOWN) + lines.count(Rank.STRANGER):
                break
            self._line_up(job)
        return job

    def _finish(self, job: "_Job", future: asyncio.Future[bool]) -> None:
        self._running -= 1
        if future.cancelled():
            self._settle(job, LogInsBusy())
        elif (failure := future.exception()) is not None:
            self._settle(job, failure)
        else:
            matched = future.result()
            if matched:
                self._remember(job.attempt)
            else:
                self._budget.charge(job.attempt.client)
            job.attempt.learn(matched)
            self._settle(job, matched)
        self._start_what_fits()

    def _remember(self, attempt: Attempt) -> None:
        """The user and the address have lines of their own from now on."""
        for name in (_line_of_address(attempt), _line_of_user(attempt)):
            self._known[name] = None
            self._known.move_to_end(name)
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)

    def _settle(self, job: "_Job", outcome: bool | BaseException) -> None:
        """Give the result to all who wait for it."""
        del self._jobs[job.attempt.key]
        if isinstance(outcome, bool):
            job.matched.set_result(outcome)
        else:
            job.matched.set_exception(outcome)
            job.matched.exception()  # where nobody is there to be told, it is no news

    def _too_many(self, client: str) -> TooManyFailures:
        return TooManyFailures(self._budget.retry_after_s(client))


def _line_of_address(attempt: Attempt) -> str:
    return f"address {attempt.client}"


def _line_of_user(attempt: Attempt) -> str:
    return f"user {attempt.user}"


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """An attempt that waits or runs, and all that are equal to it and wait for the same."""

    attempt: Attempt
    matched: asyncio.Future[bool] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    asking: set[Attempt] = field(default_factory=set)

    @property
    def is_leaving(self) -> bool:
        """Whether every client that asks has closed its half of the connection."""
        return bool(self.asking) and all(one.presence.is_leaving for one in self.asking)
