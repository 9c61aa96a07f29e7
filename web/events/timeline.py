"""The time of the log, for pages: its steps, its course, and what differs between two times."""

import asyncio
from time import monotonic

from domain.log import recorder
from domain.log.transaction import Transaction
from domain.refusal import invalid
from projections.past import states, steps
from projections.past.course import Course
from projections.past.past import NotYet
from projections.past.past_reads import PastReads
from projections.past.states import Change, State
from projections.past.steps import Steps
from projections.reads import Reads

COURSE_S = 1.0
"""So long a page waits for the course: the first one after a start reads the log for it."""
READ_S = 1.0
"""So long the log is read on for whoever asked."""


class Timeline:
    """What pages of the past are laid out by."""

    def __init__(self, log_reads: Reads, reads: Reads, past: PastReads) -> None:
        self._log = log_reads
        self._reads = reads
        self._past = past
        self._course = Course()
        self._shown = Course()
        self._reading: asyncio.Task[None] | None = None

    async def steps(self, moment: str) -> Steps:
        """The steps from a time in `TIME_FORMAT`."""
        return await self._log.fresh(steps.steps, moment)

    async def time_of(self, position: int) -> str:
        """When the event at a position was recorded; "" before the first."""
        return await self._log.fresh(steps.recorded_at, position)

    async def course(self) -> Course:
        """The course of the fleet up to now, or as far as the log was read within the limit."""
        # One task reads for all pages, and goes on where one of them leaves: a course is of one
        # thread at a time.
        end = monotonic() + COURSE_S
        if self._reading is not None and not self._reading.done():
            # It may have begun before what happened last.
            await asyncio.wait((self._reading,), timeout=COURSE_S)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_on())
            self._reading.add_done_callback(lambda read: read.cancelled() or read.exception())
        reading = self._reading
        if (await asyncio.wait((reading,), timeout=max(end - monotonic(), 0.0)))[0]:
            reading.result()
        return self._shown

    async def _read_on(self) -> None:
        end = monotonic() + READ_S
        has_more = True
        while has_more:
            has_more = await self._log.fresh(self._course.read_on) and monotonic() < end
            self._shown = self._course.so_far()

    async def difference(self, before: str, after: str) -> list[Change]:
        """What became of each host and cluster between two times. Refuses a time to come."""
        try:
            was = (await self._past.fleet(before, states.wide)).found
            becomes = await self._reads.fresh(_now, after)
            if becomes is None:
                becomes = (await self._past.fleet(after, states.wide)).found
        except NotYet:
            raise invalid("That time is in the future: nobody knows yet.", "to") from None
        return await asyncio.to_thread(states.difference, was, becomes)


def _now(tx: Transaction, after: str) -> State | None:
    """The state of now, where nothing has happened since that time: nothing has to be folded."""
    head = recorder.head(tx)
    return states.wide(tx) if head.recorded_at <= after <= recorder.now() else None
