"""Asks the database how it is, for `/readyz` and `/metrics`: with threads and a limit of its own.

Those who watch must learn soon that the database is away, and must not take the threads of those
who work.
"""

import asyncio
from collections.abc import Iterable

from domain.log.engine import Engine, PersistenceError
from domain.log.rights import must_be_usable
from projections.fleet_figures import LogSize, fleet_figures, log_size
from projections.reads import ThreadedReads
from runners.os_support.shared_answer import SharedAnswer

PROBE_TIMEOUT_S = 2.0
"""How long the database may take to answer before it counts as away; who comes while a question is
under way waits for that one as well."""
SIZE_WAIT_S = 0.5
"""How long figures wait for the size of the log; the first time it may take longer to find."""


class DatabaseProbe:
    """One question at a time is on its way, whoever and however many ask."""

    def __init__(
        self, engine: Engine, tables: Iterable[str] = (), timeout_s: float = PROBE_TIMEOUT_S
    ) -> None:
        self._reads = ThreadedReads(engine, timeout_s)
        self.figures = SharedAnswer(lambda: self._reads.fresh(fleet_figures), "probe")
        """How it stands now. Raises `PersistenceError` where the database does not answer."""
        self.tables = list(tables)
        """What the service needs."""
        self.must_be_usable = SharedAnswer(
            lambda: self._reads.fresh(must_be_usable, tuple(self.tables)), "rights"
        )
        """Raises `TakesNoWrites` or `Unusable` where the next change would be refused."""
        self._sizing: asyncio.Task[None] | None = None
        self._size = LogSize()
        self._size_wanted = 0

    async def log_size(self, head: int) -> LogSize | None:
        """The size of the log up to `head` at least; `None` while it is not known."""
        self._size_wanted = max(self._size_wanted, head)
        if self._size.position < head and (self._sizing is None or self._sizing.done()):
            self._sizing = asyncio.create_task(self._measure(), name="log size")
        if self._sizing is not None:
            await asyncio.wait((self._sizing,), timeout=SIZE_WAIT_S)
        return self._size if self._size.position >= head else None

    async def close(self) -> None:
        """Ask no more."""
        await self.figures.close()
        await self.must_be_usable.close()
        if self._sizing is not None:
            self._sizing.cancel()
            await asyncio.wait((self._sizing,))
        self._reads.close()

    async def _measure(self) -> None:
        try:
            while self._size.position < self._size_wanted:  # others may come and want more
                self._size = await self._reads.fresh(log_size, self._size)
        except PersistenceError:
            pass  # the next who asks goes on from there
