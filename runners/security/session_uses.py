"""When sessions were used last: in memory at once, and once a minute for all processes.

It is no event, and changes nothing that anybody remembers.
"""

import asyncio
import math
from contextlib import suppress
from datetime import UTC, datetime

from domain.aggregates.accounts.session import Session
from domain.event import TIME_FORMAT, Act
from domain.log.engine import PersistenceError
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal
from projections.beside_the_log import account_hashes
from projections.reads import Reads
from runners.security.accounts import seconds

WRITE_EVERY_S = 60.0
REMEMBERED_MAX = 16_384
ACTOR = "runner:accounts"


class SessionUses:
    """The uses of sessions. On the event loop's thread."""

    def __init__(self, reads: Reads, writer: Writer) -> None:
        self._reads = reads
        self._writer = writer
        self._used: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def known(self, session: str) -> float:
        """As far as that is known here, in seconds since the epoch; -infinity where it is not."""
        return self._used.get(session, -math.inf)

    async def last(self, session: str) -> float:
        """As every process knows it."""
        noted = await self._reads.fresh(account_hashes.last_use, f"{Session.KIND}/{session}")
        return max(self.known(session), seconds(noted) if noted else -math.inf)

    def note(self, session: str, at: float) -> None:
        """It is used now."""
        if len(self._used) > REMEMBERED_MAX:
            self._used.clear()
            self._written.clear()
        self._used[session] = at
        if at - self._written.get(session, -math.inf) >= WRITE_EVERY_S:
            self._written[session] = at
            task = asyncio.create_task(self._write(session, at))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _write(self, session: str, at: float) -> None:
        text = datetime.fromtimestamp(at, UTC).strftime(TIME_FORMAT)
        subject = f"{Session.KIND}/{session}"

        def write(unit: Unit) -> None:
            unit.write_beside(lambda tx: account_hashes.note_use(tx, subject, text))

        with suppress(Refusal, PersistenceError):  # a later use is written
            await self._writer.perform(Act(ACTOR, subject, text), write)
