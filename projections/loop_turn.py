"""One turn of the event loop, in which the database is asked once whether anything was committed.

All requests of a turn had been received before the first of them was carried out: the loop reads
from sockets between turns, and tasks that begin, or go on, because of something newer come after
the end of this turn in the loop's queue. So what was true when the first asked was true while
every one of them was under way, and a change that anybody was told of is seen by whatever comes
after. It does not hold for code that changes the world on the event loop's own thread.
"""

import asyncio


class Turn:
    """Tells whether the turn is still the one in which it was asked last."""

    def __init__(self) -> None:
        self._goes_on = False

    def is_new(self) -> bool:
        """Whether this is the first time in this turn; always, where no event loop runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return True
        if self._goes_on:
            return False
        self._goes_on = True
        loop.call_soon(self.end)
        return True

    def end(self) -> None:
        """End the turn: the next question is asked anew."""
        self._goes_on = False
