"""Gives an existing log its Merkle tree (`domain/log/tree/growth.py`), beside the work of the
service; and goes on where a version without trees appended.

Nobody waits for it, and what it is killed in the middle of goes on with the next start. Of several
processes one does it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from domain.event import Act
from domain.log.engine import Engine, OperationalError, PersistenceError, Stopped
from domain.log.transaction import Transaction
from domain.log.tree import growth
from domain.log.tree.growth import Chunk
from domain.log.tree.kept import BrokenTree
from domain.log.unit import Unit
from domain.refusal import Refusal
from runners.leases.ownership import SINGLE_PROCESS, Ownership

ACTOR = "runner:tree"
KEY = "tree"
LOOK_EVERY_S = 5.0
PAUSE_MIN_S = 0.001
WRITE_TIMEOUT_S = 60.0


class Writer(Protocol):
    """The part of `domain.log.writer.Writer` that is needed here."""

    def submit(self, act: Act, command: Callable[[Unit], None]) -> "Future[Any]":
        """Queue a command."""
        ...


class TreeBuilder:
    """Brings the tree to the head of the log, again and again."""

    def __init__(
        self,
        engine: Engine,
        writer: Writer,
        now: Callable[[], str],
        log: Callable[..., None],
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._now = now
        self._log = log
        self._ownership = ownership
        self.broken = ""
        """Why nothing can be added to the tree; "" where it can."""

    async def run(self) -> None:
        """Until cancelled."""
        threads = ThreadPoolExecutor(1, thread_name_prefix="tree")
        try:
            while True:
                if self._ownership.holds(KEY):
                    await self._look(threads)
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await asyncio.to_thread(threads.shutdown)

    async def _look(self, threads: ThreadPoolExecutor) -> None:
        try:
            await self._catch_up(threads)
            self.broken = ""
        except BrokenTree as broken:
            self.broken = str(broken)
        except (Refusal, OperationalError, Stopped):
            pass  # the database is away or full, or the service is stopping
        except PersistenceError as error:
            self.broken = str(error)

    async def _catch_up(self, threads: ThreadPoolExecutor) -> None:
        """Half of the time it pauses: others have the writer then."""
        loop = asyncio.get_running_loop()
        added, begun = 0, time.monotonic()
        while chunk := await loop.run_in_executor(threads, growth.next_chunk, self._engine):
            started = time.monotonic()
            await loop.run_in_executor(threads, self._add, chunk)
            if chunk.before.grown:
                self._log(
                    "log.not_ours",
                    level="warning",
                    after=chunk.before.position,
                    reason="Rows were added to the log that had no leaves in its tree: by a version"
                    " without trees, or by somebody else.",
                )
            added += len(chunk.leaves)
            await asyncio.sleep(max(PAUSE_MIN_S, time.monotonic() - started))
        if added:
            seconds = round(time.monotonic() - begun, 1)
            self._log("log.tree_made", leaves=added, seconds=seconds)

    def _add(self, chunk: Chunk) -> None:
        def add(tx: Transaction) -> None:
            growth.add(tx, chunk)

        act = Act(ACTOR, KEY, self._now())
        command = self._ownership.fenced(KEY, lambda unit: unit.write_beside(add))
        try:
            self._writer.submit(act, command).result(WRITE_TIMEOUT_S)
        except TimeoutError:
            raise OperationalError("the writer does not get to it") from None
