"""Commands on their way through the writer, and the answers that they end with."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from domain.event import Act
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.refusal import Kind, Refusal

LOG = logging.getLogger(__name__)


@dataclass
class Job:
    """A command on its way, and whoever waits for it."""

    act: Act
    command: Callable[[Unit], Any]
    answer: Callable[[Transaction, Any], Any]
    deadline: float
    future: "Future[Any] | asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop | None = None
    outcome: Any = None
    error: BaseException | None = None


def refuse(jobs: list[Job], kind: Kind, sentence: str) -> None:
    """One refusal each: an exception that many tasks raise collects all their tracebacks."""
    for job in jobs:
        job.error = Refusal(kind, sentence)
    deliver(jobs)


def fail(job: Job, defect: Exception) -> None:
    # A future does not take a StopIteration: whoever waits would wait for ever.
    job.error = RuntimeError(repr(defect)) if isinstance(defect, StopIteration) else defect
    deliver([job])


def deliver(jobs: list[Job]) -> None:
    """Hand the outcomes to whoever waits; each event loop is woken once."""
    waiting: dict[asyncio.AbstractEventLoop, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.loop is None:
            _settle(job)
        else:
            waiting[job.loop].append(job)
    for loop, theirs in waiting.items():
        try:
            loop.call_soon_threadsafe(_settle_all, theirs)
        except RuntimeError:  # the loop was closed: nobody waits there any more
            LOG.warning("%s answers came too late for a loop that is closed", len(theirs))


def _settle_all(jobs: list[Job]) -> None:
    for job in jobs:
        _settle(job)


def _settle(job: Job) -> None:
    if job.future.cancelled():
        return
    if job.error is not None:
        job.future.set_exception(job.error)
    else:
        job.future.set_result(job.outcome)
