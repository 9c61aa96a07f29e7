"""The one thread of a process that appends: commands queue up and share commits.

A command is decided inside the append transaction, on aggregates that are as of now, so nothing
that was decided can be out of date when it is stored. Commands that wait at the same moment
share one transaction: each is refused or carried out on its own, and all that were carried out
become durable together.
"""

import asyncio
import logging
import os
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from domain.aggregates.log_history import NAME, ClockSetBack, LogHistory
from domain.event import Act, Recorded
from domain.log import recorder
from domain.log.batch import Batch, Projections
from domain.log.clock import LogClock
from domain.log.continuity import Continuity, Loss
from domain.log.engine import (
    Appending,
    CommitUnknown,
    Contended,
    Engine,
    OperationalError,
    OtherLog,
    PersistenceError,
    Stopped,
    StorageFull,
    TakesNoWrites,
    Unusable,
)
from domain.log.jobs import Job, deliver, fail, refuse
from domain.log.transaction import Transaction
from domain.log.tree.kept import Tree
from domain.log.unit import Aggregates, Unit
from domain.refusal import unavailable

LOG = logging.getLogger(__name__)

BATCH_COMMANDS_MAX = 128
"""How many commands share one commit at most."""
BATCH_EVENTS_MAX = 2000
"""A transaction that has this many events takes no further command."""
RETRY_PAUSE_S = 0.05
SCRUB_RETRY_PAUSE_S = 1.0
MAYBE_DONE = (
    "The database went away while it stored this, and it may have been stored:"
    " look before you repeat it."
)

ACTOR = "log"

T = TypeVar("T")


class Writer:
    """Takes commands from any thread, and carries them out on its own.

    `on_commit(previous, recorded)` is told what was appended, and the position before it; and
    `on_loss(loss)` before it where the log went back; on the writer's thread, before anybody gets
    an answer.
    """

    def __init__(
        self,
        engine: Engine,
        projections: Projections,
        *,
        timeout_s: float,
        on_commit: Callable[[int, Sequence[Recorded]], None] = lambda previous, recorded: None,
        on_loss: Callable[[Loss], None] = lambda loss: None,
        continuity: Continuity | None = None,
        clock: LogClock | None = None,
    ) -> None:
        self._engine = engine
        self._projections = projections
        self._timeout_s = timeout_s
        self._on_commit, self._on_loss = on_commit, on_loss
        self._continuity = continuity or Continuity()
        self._clock = clock or LogClock()
        self._aggregates, self._position = Aggregates(), -1
        self._scrub_due_at: float | None = None
        self._queue: deque[Job] = deque()
        self._wake, self._stopping = threading.Condition(), False
        self._process = f"{socket.gethostname()}/{os.getpid()}"
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.on_tree: Callable[[Tree], None] = lambda tree: None
        """Told after each commit what the log's tree is, before anybody gets an answer."""
        self.commits: Counter[int] = Counter()
        """How many commits had so many commands; those that changed nothing share none."""
        self.storage_was_full_at: float | None = None
        """By `time.monotonic()`; `None` again as soon as something was stored."""
        self.refused: tuple[float, OperationalError] | None = None
        """When, by the same clock, and why the database refused to store something, likewise."""

    @property
    def waiting(self) -> int:
        """How many commands wait for their turn."""
        return len(self._queue)

    @property
    def is_running(self) -> bool:
        """Whether there is a thread that carries commands out."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to carry out commands."""
        self._thread.start()

    def stop(self) -> None:
        """Carry out what is queued, then end. Blocks until then."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def submit(
        self,
        act: Act,
        command: Callable[[Unit], T],
        answer: Callable[[Transaction, T], Any] = lambda tx, result: result,
    ) -> "Future[Any]":
        """Queue a command, from any thread. `answer` reads the reply in the same transaction.

        The future raises `Refusal`: the command's own, or `unavailable` after the time limit.
        """
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # what is queued is carried out: no way back
        self._enqueue(Job(act, command, answer, time.monotonic() + self._timeout_s, future))
        return future

    async def perform(
        self,
        act: Act,
        command: Callable[[Unit], T],
        answer: Callable[[Transaction, T], Any] = lambda tx, result: result,
    ) -> Any:
        """As `submit`, and wait for it without holding up the event loop.

        A caller that is cancelled does not cancel the command.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        deadline = time.monotonic() + self._timeout_s
        self._enqueue(Job(act, command, answer, deadline, future, loop))
        return await future

    def _enqueue(self, job: Job) -> None:
        with self._wake:
            if self._stopping:
                raise unavailable("The service is stopping: try again in a moment.")
            self._queue.append(job)
            self._wake.notify()

    # The writer's thread

    def _run(self) -> None:
        while True:
            jobs = self._take()
            if jobs:
                self._carry_out(jobs)
            elif self._stopping:
                return
            if self._scrub_due_at is not None and time.monotonic() >= self._scrub_due_at:
                self._scrub()

    def _take(self) -> list[Job]:
        with self._wake:
            while not self._queue and not self._stopping:
                if not self._wake.wait(SCRUB_RETRY_PAUSE_S if self._scrub_due_at else None):
                    return []
            count = min(len(self._queue), BATCH_COMMANDS_MAX)
            return [self._queue.popleft() for _ in range(count)]

    def _carry_out(self, jobs: list[Job]) -> None:
        """Until each job has its outcome, or ran out of time."""
        error: Exception | None = None
        while jobs := self._still_in_time(jobs, error):
            try:
                jobs = jobs[self._transact(jobs) :]
                error = None
            except StorageFull:
                self.storage_was_full_at = time.monotonic()
                self._aggregates.clear()
                refuse(jobs, "storage_full", "The disk is full: nothing was stored.")
                return
            except CommitUnknown:
                self._aggregates.clear()
                refuse(jobs, "unavailable", MAYBE_DONE)
                return
            except Stopped as stopped:
                self._aggregates.clear()
                if isinstance(stopped, OtherLog) and self._engine.name == "sqlite":
                    self._continuity.wrong_file = stopped
                refuse(jobs, "unavailable", str(stopped))
                return
            except OperationalError as passing:
                self._aggregates.clear()
                error = passing
                if isinstance(passing, TakesNoWrites | Unusable):
                    self.refused = time.monotonic(), passing
                time.sleep(RETRY_PAUSE_S)
            except Exception as defect:  # noqa: BLE001 - whoever asked gets it
                self._aggregates.clear()
                if len(jobs) == 1:
                    fail(jobs[0], defect)
                    return
                for job in jobs:  # alone, so that a defect fails its own command and no other
                    self._carry_out([job])
                return

    def _still_in_time(self, jobs: list[Job], error: Exception | None) -> list[Job]:
        if error is None:
            return jobs
        now = time.monotonic()
        late = [job for job in jobs if job.deadline <= now] + self._take_late(now)
        what = "is too busy" if isinstance(error, Contended) else "cannot be reached"
        if isinstance(error, Unusable):
            what = f"refuses what it is asked ({error})"
        elif isinstance(error, TakesNoWrites):
            what = f"takes no writes ({error})"
        refuse(late, "unavailable", f"The database {what}: nothing was changed, try again.")
        return [job for job in jobs if job.deadline > now]

    def _take_late(self, now: float) -> list[Job]:
        """Those that ran out of time while they queued behind jobs that cannot be carried out."""
        with self._wake:
            late = [job for job in self._queue if job.deadline <= now]
            if late:
                self._queue = deque(job for job in self._queue if job.deadline > now)
        return late

    def _transact(self, jobs: list[Job]) -> int:
        """One transaction for as many jobs as it takes; gives how many."""
        batch = Batch(self._projections, self._aggregates)
        lock_timeout_s = max(0.001, min(job.deadline for job in jobs) - time.monotonic())
        try:
            with self._engine.append(lock_timeout_s) as appending:
                self._notice_loss(appending, batch)
                self._notice_others(appending)
                self._notice_clock(appending, batch)
                for job in jobs:
                    batch.decide(job, appending)
                    if len(batch.recorded) >= BATCH_EVENTS_MAX:
                        break
                if batch.wrote:
                    batch.commit(appending)
        except CommitUnknown as error:
            if not self._was_committed(batch, max(job.deadline for job in jobs), error):
                raise OperationalError("the commit did not happen") from error
        self._publish(batch)
        return len(batch.done)

    def _notice_loss(self, appending: Appending, batch: Batch) -> None:
        """Where the log is not what we knew: forget it, and say so in the log, first of all."""
        loss = self._continuity.compare(appending.tx, appending.head)
        if loss is None:
            self._continuity.advance(appending.head, appending.tx.server)
        if loss is not None or self._continuity.has_moved:
            self._projections.judge(appending.tx)
        if loss is None:
            self._continuity.leave_gap(appending.tx, appending.head)
            return
        self._aggregates.clear()
        self._position = -1
        loss.skip(appending.tx)
        self._notice_others(appending)
        act = Act(ACTOR, f"{LogHistory.KIND}/{NAME}", recorder.now())
        unit = Unit(appending.tx, self._aggregates, act)
        unit.log_history().go_back(loss.event(self._process))
        batch.store(unit, appending)
        batch.loss = loss

    def _notice_clock(self, appending: Appending, batch: Batch) -> None:
        """Where the clock was ahead: say so in the log, whose times begin anew."""
        if batch.recorded or not self._clock.is_set_back(appending.head):
            return
        now = self._clock.now()
        unit = Unit(appending.tx, self._aggregates, Act(ACTOR, f"{LogHistory.KIND}/{NAME}", now))
        event = ClockSetBack(self._process, appending.head.recorded_at)
        unit.log_history().set_clock_back(event)
        batch.store(unit, appending, at=now)

    def _notice_others(self, appending: Appending) -> None:
        """Forget what other processes changed since our last transaction."""
        position = appending.head.position
        if position == self._position:
            return
        if self._position < 0:
            self._aggregates.clear()  # our first: there is nothing to look for
        else:
            self._aggregates.forget(recorder.touched_since(appending.tx, self._position))
        self._projections.follow(appending.tx, position)
        self._position = position

    def _was_committed(self, batch: Batch, deadline: float, unknown: CommitUnknown) -> bool:
        """Look whether the commit whose reply was lost did happen; `unknown` if none can tell."""
        if batch.last is None:
            return False  # nothing but writes that say the same when they are repeated
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                # Under the append lock: what is still committing holds it, and would be missed.
                with self._engine.append(left_s) as appending:
                    if not recorder.holds(appending.tx, batch.last):
                        return False
                    appending.confirm()
                    return True
            except OperationalError:
                time.sleep(RETRY_PAUSE_S)
        raise unknown

    def _publish(self, batch: Batch) -> None:
        """It is durable: tell everybody. Nothing here may fail a command that is done."""
        if batch.wrote:
            self.commits[len(batch.done)] += 1
            self.storage_was_full_at = self.refused = None
        if batch.loss is not None:
            self._continuity.begin_anew(batch.loss)
            self._tell(self._on_loss, batch.loss)
        self._continuity.advance(batch.head, None)
        if batch.tree is not None:
            self._tell(self.on_tree, batch.tree)
        if batch.recorded:
            self._continuity.note(batch.recorded)
            previous, self._position = self._position, batch.recorded[-1].position
            self._tell(self._on_commit, previous, batch.recorded)
        if batch.scrub:
            self._scrub()
        deliver(batch.done)

    def _tell(self, whom: Callable[..., None], *what: object) -> None:
        try:
            whom(*what)
        except Exception:
            LOG.exception("whoever follows the log was not told of %s", self._position)

    def _scrub(self) -> None:
        try:
            self._engine.scrub()
        except PersistenceError:  # a long read is in the way: again in a while
            self._scrub_due_at = time.monotonic() + SCRUB_RETRY_PAUSE_S
        else:
            self._scrub_due_at = None
