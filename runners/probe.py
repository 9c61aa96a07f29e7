"""Asks the database how it is, for `/readyz` and `/metrics`: with threads and a limit of its own.

Those who watch must learn soon that the database is away, and must not take the threads of those
who work.
"""

import asyncio

from eventsourcing.persistence import PersistenceError

from domain.log.engine import Engine
from projections.reads import ThreadedReads
from projections.standing import LogSize, Standing, log_size, standing

PROBE_TIMEOUT_S = 2.0
"""How long the database may take to answer before it counts as away."""
SIZE_WAIT_S = 0.5
"""How long figures wait for the size of the log; the first time it may take longer to find."""


class Probe:
    """One question at a time is on its way, whoever and however many ask."""

    def __init__(self, engine: Engine, timeout_s: float = PROBE_TIMEOUT_S) -> None:
        self._reads = ThreadedReads(engine, timeout_s)
        self._asking: asyncio.Task[Standing] | None = None
        self._sizing: asyncio.Task[None] | None = None
        self._size = LogSize()

    async def standing(self) -> Standing:
        """How it stands now. Raises `PersistenceError` where the database does not answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._reads.fresh(standing), name="probe")
        await asyncio.wait((self._asking,))
        return self._asking.result()

    async def log_size(self, head: int) -> LogSize | None:
        """The size of the log up to `head` at least; `None` while it is not known."""
        if self._size.position < head and (self._sizing is None or self._sizing.done()):
            self._sizing = asyncio.create_task(self._measure(head), name="log size")
        if self._sizing is not None:
            await asyncio.wait((self._sizing,), timeout=SIZE_WAIT_S)
        return self._size if self._size.position >= head else None

    async def close(self) -> None:
        """Ask no more."""
        for task in (self._asking, self._sizing):
            if task is not None:
                task.cancel()
                await asyncio.wait((task,))
        self._reads.close()

    async def _measure(self, head: int) -> None:
        try:
            while self._size.position < head:
                self._size = await self._reads.fresh(log_size, self._size)
        except PersistenceError:
            pass  # the next who asks goes on from there
