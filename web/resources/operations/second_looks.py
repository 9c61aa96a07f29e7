"""Whoever begins an operation waits a moment for members that have failed: they may be mended."""

import asyncio
from collections.abc import Callable, Iterable

from domain.commands import second_looks
from domain.event import shifted
from domain.log.unit import Unit
from domain.log.writer import Writer
from projections.beside_the_log import host_looks
from projections.reads import Reads
from web.http.requests import Request
from web.resources.host_care import CHECK_PAUSE_S

LIMIT_S = 15.0
"""For all members together."""
POLL_S = 0.2
"""The runner that looks may be in another process."""


class SecondLooks:
    """Has failed members looked at, and waits until that is done, `limit_s` at most.

    With 0 nobody is asked: there is no runner.
    """

    def __init__(
        self,
        writer: Writer,
        reads: Reads,
        limit_s: float = LIMIT_S,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._limit_s = limit_s
        self._is_stopping = is_stopping

    async def look(self, request: Request, skipped: Callable[[Unit], Iterable[str]]) -> None:
        """At those that would be skipped because they have failed; refuses as `skipped` does."""
        if not self._limit_s:
            return
        act = request.act()
        not_since = shifted(act.at, -CHECK_PAUSE_S)
        asked: dict[str, str] = await self._writer.perform(
            act, lambda unit: second_looks.ask(unit, skipped(unit), not_since)
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limit_s
        while asked and loop.time() < end and not self._is_stopping():
            if not await self._reads.fresh(host_looks.is_unanswered, asked):
                return
            await asyncio.sleep(POLL_S)
