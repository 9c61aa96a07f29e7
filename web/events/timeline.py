"""The time of the log, for pages: its steps, its course, and what differs between two times."""

import asyncio

from domain.refusal import invalid
from projections.past import states, steps
from projections.past.course import Course
from projections.past.past import NotYet
from projections.past.past_reads import PastReads
from projections.past.states import Change
from projections.past.steps import Steps
from projections.reads import Reads


class Timeline:
    """What pages of the past are laid out by."""

    def __init__(self, reads: Reads, past: PastReads) -> None:
        self._reads = reads
        self._past = past
        self._course = Course()
        self._one_reads = asyncio.Lock()

    async def steps(self, moment: str) -> Steps:
        """The steps from a time in `TIME_FORMAT`."""
        return await self._reads.fresh(steps.steps, moment)

    async def time_of(self, position: int) -> str:
        """When the event at a position was recorded; "" before the first."""
        return await self._reads.fresh(steps.recorded_at, position)

    async def course(self) -> Course:
        """The course of the fleet up to now."""
        async with self._one_reads:
            while await self._reads.fresh(self._course.read_on):
                pass
        return self._course

    async def difference(self, before: str, after: str) -> list[Change]:
        """What became of each host and cluster between two times. Refuses a time to come."""
        try:
            was = await self._past.fleet(before, states.wide)
            becomes = await self._past.fleet(after, states.wide)
        except NotYet:
            raise invalid("That time is in the future: nobody knows yet.", "to") from None
        return await asyncio.to_thread(states.difference, was.found, becomes.found)
