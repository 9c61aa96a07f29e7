"""Makes checkpoints of the fleet (`projections/past/checkpoints.py`) beside the work of the
service.

Nobody waits for it: it folds for a millisecond and pauses for longer, and writes a quarter of a
megabyte in one command of the writer. What it is killed in the middle of is begun anew. Of several
processes one makes them.
"""

import asyncio
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from domain.event import Act
from domain.log import recorder
from domain.log.engine import NOWHERE, Engine, OperationalError, PersistenceError, Place, Stopped
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from domain.refusal import Refusal
from projections.past import checkpoints
from projections.past.checkpoints import Pieces
from projections.past.past import FLEET, Breath, Scratch, advance
from runners.leases.ownership import SINGLE_PROCESS, Ownership
from runners.os_support.memory import give_back_free_memory

ACTOR = "runner:checkpointer"
KEY = "checkpoints"
LOOK_EVERY_S = 10.0
WORK_S, PAUSE_S = 0.001, 0.004
"""It folds for a fifth of the time at most."""
WRITE_TIMEOUT_S = 60.0
FOLDED_AT_ONCE = 500
"""Fewer than where somebody waits: it takes longer, and less memory."""


class Writer(Protocol):
    """The part of `domain.log.writer.Writer` that is needed here."""

    def submit(self, act: Act, command: Callable[[Unit], None]) -> "Future[Any]":
        """Queue a command."""
        ...


class Ended(Exception):
    """The service stops."""


class Checkpointer:
    """Brings the checkpoints to where they should be, again and again."""

    def __init__(
        self,
        engine: Engine,
        writer: Writer,
        now: Callable[[], str],
        pause_s: float = PAUSE_S,
        ownership: Ownership = SINGLE_PROCESS,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._now = now
        self._breath = Breath(WORK_S, pause_s, math.inf)
        self._ownership = ownership
        self._ended = threading.Event()
        self._folded = NOWHERE
        """Up to where the tables in memory are; in another log they are worth nothing."""

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        self._ended.clear()
        threads = ThreadPoolExecutor(1, thread_name_prefix="checkpointer")
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                if not self._ownership.holds(KEY):
                    continue
                # The database is away or full, or the log says what nobody here knows.
                with suppress(Refusal, PersistenceError, Stopped):
                    await loop.run_in_executor(threads, self.catch_up)
        finally:
            self._ended.set()
            await asyncio.to_thread(threads.shutdown)

    def catch_up(self) -> None:
        """Make all that are missing, oldest first, and drop what is of no more use. Blocks."""
        scratch = Scratch(FLEET)
        try:
            while not self._ended.is_set() and self._make_one(scratch):
                pass
        except Ended:
            pass
        finally:
            scratch.close()
            give_back_free_memory()

    def _make_one(self, scratch: Scratch) -> bool:
        with self._engine.snapshot() as tx:
            known = checkpoints.all_of_them(tx)
            missing, obsolete = checkpoints.plan(recorder.head(tx).position, known)
            leftovers = checkpoints.leftovers(tx)
        for position in obsolete:
            self._write(partial(checkpoints.drop, position=position))
        for image, number in leftovers:
            self._write(partial(checkpoints.drop_piece, image=image, number=number))
        if not missing:
            return bool(obsolete)  # their pieces are leftovers now
        with self._engine.snapshot() as tx:
            if scratch.position > missing[0] or not recorder.has(tx, self._folded):
                scratch.clear()
            checkpoints.resume(tx, scratch, missing[0])
            place = self._folded = recorder.place(tx, missing[0])
        advance(self._engine, scratch, missing[0], self._breathe, FOLDED_AT_ONCE)
        pieces = Pieces(scratch)
        for number, content in pieces:
            self._write(partial(pieces.keep_piece, number=number, content=content))
        self._write(partial(_finish, pieces, place))
        return True

    def _breathe(self) -> None:
        if self._ended.is_set():
            raise Ended
        self._breath()

    def _write(self, write: Callable[[Transaction], None]) -> None:
        act = Act(ACTOR, KEY, self._now())
        command = self._ownership.fenced(KEY, lambda unit: unit.write_beside(write))
        try:
            self._writer.submit(act, command).result(WRITE_TIMEOUT_S)
        except TimeoutError:
            raise OperationalError("the writer does not get to it") from None


def _finish(pieces: Pieces, place: Place, tx: Transaction) -> None:
    """Let it be used, unless the log went back while it was read."""
    if recorder.has(tx, place):
        pieces.finish(tx)
