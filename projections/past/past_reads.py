"""Questions about the past, beside the event loop, and only so many at once.

One host or cluster takes milliseconds; the whole fleet may take a second, so these questions have
a thread of their own, and wait for one another. Whoever finds too many waiting is refused.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from domain.log.engine import Engine, OperationalError
from domain.log.recorder import now as machine_now
from domain.refusal import unavailable
from projections.past import checkpoints
from projections.past.past import FLEET, Breath, Past, Query, Scratch, advance, place
from projections.planning import schedules, windows
from projections.projection import tag_of

SUBJECT_THREADS = 2
SUBJECTS_WAITING_MAX = 64
FLEETS_WAITING_MAX = 8
LIMIT_S = 60.0
"""How long one question may take, its turn included."""
WORK_S, PAUSE_S = 0.001, 0.0003
"""After how long a thread lets the others have their turn, and for how long at least."""
FLEETS_KEPT = 2
"""How many moments of the fleet stay in memory: pages of one list are of one moment."""
FLEETS_KEPT_BYTES_MAX = 32 * 1024 * 1024
FLEETS_KEPT_S = 30.0

T = TypeVar("T")


class AsOf(NamedTuple, Generic[T]):
    """What a query found, and a validator that is the same for ever."""

    found: T
    tag: str


class PastReads:
    """Queries on the state at a time, given in `TIME_FORMAT`.

    Each raises `NotYet` for a time to come, a `Refusal` where too many wait, `OperationalError`
    after the limit, and `Stopped` where a projection cannot go on up to that time.
    """

    def __init__(self, engine: Engine, now: Callable[[], str] = machine_now) -> None:
        self._engine = engine
        self._now = now
        self._past = Past(engine)
        self._fleets = Fleets(engine)
        self._subjects = Lane(SUBJECT_THREADS, SUBJECTS_WAITING_MAX)
        self._whole = Lane(1, FLEETS_WAITING_MAX)

    async def host(self, moment: str, query: "Query[T]", address: str) -> AsOf[T]:
        """What `query(tx, address)` gives at a time."""
        return await self._subjects.run(self._ask, moment, self._past.host, query, address)

    async def window(self, moment: str, query: "Query[T]", name: str) -> AsOf[T]:
        """What `query(tx, name)` gives at a time."""
        ask = partial(self._past.subject, windows.PROJECTION, f"window/{name}")
        return await self._subjects.run(self._ask, moment, ask, query, name)

    async def schedule(self, moment: str, query: "Query[T]", name: str) -> AsOf[T]:
        """What `query(tx, name)` gives at a time."""
        ask = partial(self._past.subject, schedules.PROJECTION, f"schedule/{name}")
        return await self._subjects.run(self._ask, moment, ask, query, name)

    async def cluster(self, moment: str, query: "Query[T]", name: str) -> AsOf[T]:
        """`query(tx, name)`, with what became of the members."""
        return await self._subjects.run(self._ask, moment, self._past.cluster, query, name)

    async def members(self, moment: str, query: "Query[T]", name: str, *more: Any) -> AsOf[T]:
        """`query(tx, name, …)`, of who was a member and nothing else."""
        return await self._subjects.run(self._ask, moment, self._past.members, query, name, *more)

    async def fleet(self, moment: str, query: "Query[T]", *args: Any) -> AsOf[T]:
        """`query(tx, …)`, of all hosts and clusters."""
        try:
            return await self._whole.run(self._ask, moment, self._fleets.ask, query, *args)
        finally:
            asyncio.get_running_loop().call_later(FLEETS_KEPT_S, self._forget_fleets)

    async def tag(self, moment: str) -> str:
        """The validator of all answers about that time."""
        return await self._subjects.run(self._tag, moment)

    def forget(self) -> None:
        """The log went back: what is remembered of a position may be of what was lost."""
        with suppress(RuntimeError):  # it is closed
            self._whole.begin(self._fleets.clear)

    def close(self) -> None:
        """Begin no further question, and wait for those under way."""
        self._subjects.close()
        self._whole.close()

    def _ask(
        self, deadline: float, moment: str, ask: Callable[..., T], query: "Query[T]", *args: Any
    ) -> AsOf[T]:
        breathe = Breath(WORK_S, PAUSE_S, deadline)
        head = place(self._engine, moment, self._now)
        return AsOf(ask(head.position, query, *args, breathe=breathe), tag_of(*head))

    def _tag(self, _: float, moment: str) -> str:
        return tag_of(*place(self._engine, moment, self._now))

    def _forget_fleets(self) -> None:
        with suppress(RuntimeError):  # it is closed
            self._whole.begin(self._fleets.forget)


class Fleets:
    """The whole fleet at the times that were asked for last. Of one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: OrderedDict[int, Scratch] = OrderedDict()
        self._asked_at = 0.0

    def ask(self, up_to: int, query: "Query[T]", *args: Any, breathe: Callable[[], None]) -> T:
        """What `query(tx, …)` gives at a position."""
        scratch = self._kept.get(up_to)
        if scratch is None:
            scratch = self._kept[up_to] = self._at(up_to, breathe)
        self._kept.move_to_end(up_to)
        self._asked_at = time.monotonic()
        while len(self._kept) > 1 and self._are_too_many():
            self._kept.popitem(last=False)[1].close()
        return query(scratch.tx, *args)

    def forget(self) -> None:
        """Give back the memory, where nobody has asked for a while."""
        if time.monotonic() - self._asked_at >= FLEETS_KEPT_S:
            self.clear()

    def clear(self) -> None:
        """Give back the memory."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _at(self, up_to: int, breathe: Callable[[], None]) -> Scratch:
        scratch = Scratch(FLEET)
        before = max((position for position in self._kept if position < up_to), default=0)
        if before:
            scratch.restore(self._kept[before].image(), before)
        with self._engine.snapshot() as tx:
            checkpoints.resume(tx, scratch, up_to)
        advance(self._engine, scratch, up_to, breathe)
        return scratch

    def _are_too_many(self) -> bool:
        size = sum(scratch.size for scratch in self._kept.values())
        return len(self._kept) > FLEETS_KEPT or size > FLEETS_KEPT_BYTES_MAX


class Lane:
    """Threads of their own for one kind of question."""

    def __init__(self, threads: int, waiting_max: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="past")
        self._places = threading.BoundedSemaphore(threads + waiting_max)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run `work(deadline, …)` in a thread, when its turn comes."""
        if not self._places.acquire(blocking=False):
            raise unavailable("Too many ask about the past at once: try again in a moment.")
        deadline = time.monotonic() + LIMIT_S
        try:
            under_way = self._threads.submit(work, deadline, *args)
        except RuntimeError:
            self._places.release()
            raise unavailable("The service is stopping: try again in a moment.") from None
        # Until the thread is done with it, also where whoever asked has left.
        under_way.add_done_callback(lambda _: self._places.release())
        try:
            async with asyncio.timeout(LIMIT_S):
                return await asyncio.wrap_future(under_way)
        except TimeoutError:
            raise OperationalError("the past could not be read in time") from None

    def begin(self, work: Callable[[], None]) -> None:
        """Do this in its turn, too. Raises `RuntimeError` where the lane is closed."""
        self._threads.submit(work)

    def close(self) -> None:
        """Wait for what runs, and forget what waits."""
        self._threads.shutdown(cancel_futures=True)
