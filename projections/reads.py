"""Reading the read models: what was answered to anybody before is seen by everybody after."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from domain.log.engine import Engine, OperationalError
from domain.log.engines.sqlite import SQLiteEngine, translated
from domain.log.transaction import SQLiteTransaction, Transaction
from projections.loop_turn import Turn

TIMEOUT_S = 10.0
"""How long a read that runs beside the event loop may take, its turn included."""
SUSPECT_AFTER_S = 1.0
"""How long a read waits before it is looked whether the database is away."""
THREADS = 4
"""How many reads run beside the event loop at once; the others wait for their turn."""
HOT_ROWS_MAX = 20_000
HOT_BYTES_MAX = 16 * 1024 * 1024
ITEM_BYTES = 512
"""For so many each item of a list or a mapping is counted: the longest have an address in them."""

T = TypeVar("T")
Query = Callable[..., T]


class Reads(Protocol):
    """Queries on one consistent state, the newest that was committed."""

    async def point(self, query: "Query[T]", *args: Any) -> T:
        """Run `query(tx, *args)`, which finds a few rows by their keys."""
        ...

    async def scan(self, query: "Query[T]", *args: Any) -> T:
        """Run `query(tx, *args)`, which may take long."""
        ...

    async def fresh(self, query: "Query[T]", *args: Any) -> T:
        """Run `query(tx, *args)` beside the event loop, and do not remember what it finds."""
        ...

    def close(self) -> None:
        """Stop reading."""
        ...


def reads(engine: Engine, timeout_s: float = TIMEOUT_S) -> Reads:
    """The reads for this engine: on the event loop for SQLite, in a pool for PostgreSQL."""
    if isinstance(engine, SQLiteEngine):
        return SQLiteReads(engine, timeout_s)
    return ThreadedReads(engine, timeout_s)


class GatedReads:
    """Nothing is read while a read model has stopped: what it says is not so any more, or not yet.

    `must_go_on()` raises `Stopped` then.
    """

    def __init__(self, reads: Reads, must_go_on: Callable[[], None]) -> None:
        self._reads = reads
        self._must_go_on = must_go_on
        self.close = reads.close

    async def point(self, query: "Query[T]", *args: Any) -> T:
        self._must_go_on()
        return await self._reads.point(query, *args)

    async def scan(self, query: "Query[T]", *args: Any) -> T:
        self._must_go_on()
        return await self._reads.scan(query, *args)

    async def fresh(self, query: "Query[T]", *args: Any) -> T:
        self._must_go_on()
        return await self._reads.fresh(query, *args)


class ThreadedReads:
    """Every query in a thread: for a database that is asked over a socket.

    Raises `OperationalError` where a query is not answered in time.
    """

    def __init__(self, engine: Engine, timeout_s: float = TIMEOUT_S) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reads")

    async def point(self, query: "Query[T]", *args: Any) -> T:
        """Run a query in a thread."""
        self._engine.must_answer()
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(self._threads, partial(self._run, query, args))
        try:
            async with asyncio.timeout(self._timeout_s):
                while not (await asyncio.wait((answer,), timeout=SUSPECT_AFTER_S))[0]:
                    self._engine.must_answer()
                    self._engine.suspect()
                return answer.result()
        except TimeoutError:
            raise OperationalError("the database did not answer in time") from None
        finally:
            answer.cancel()

    scan = fresh = point

    def close(self) -> None:
        """Wait for the queries that run."""
        self._threads.shutdown(cancel_futures=True)

    def _run(self, query: "Query[T]", args: tuple[Any, ...]) -> T:
        with self._engine.snapshot() as tx:
            return query(tx, *args)


class SQLiteReads:
    """Points on the event loop (one takes microseconds), from memory while nobody wrote.

    `PRAGMA data_version` changes when any other connection, of any process, committed. It is
    asked before what is remembered is used, so that memory never tells an older state: after
    every commit of this process, and once in a turn of the event loop for the others (`Turn` says
    why that is enough).
    """

    def __init__(self, engine: SQLiteEngine, timeout_s: float = TIMEOUT_S) -> None:
        self._scans = ThreadedReads(engine, timeout_s)
        self._connection = engine.connect(read_only=True)
        self._tx: Transaction = SQLiteTransaction(self._connection)
        self._version = self._connection.cursor()
        self._turn = Turn()
        self._engine = engine
        self._commits = -1
        self._seen = -1
        self._moment = Moment(self)
        self.is_held = False
        """Whether nothing is asked, since it was asked a moment ago."""
        self._hot: dict[Any, Any] = {}
        self._bytes = 0
        self._under_way: dict[Any, asyncio.Task[Any]] = {}

    async def point(self, query: "Query[T]", *args: Any) -> T:
        """Run a query here and now, or give what it found when nothing has changed since."""
        return self.point_now(query, *args)

    def point_now(self, query: "Query[T]", *args: Any) -> T:
        """`point` without a coroutine; only on the event loop's thread."""
        self._forget_if_changed()
        key = (query, *args)
        found = self._hot.get(key, self)
        if found is self:
            found = self._in_one_state(query, args)
            self._keep(key, found)
        return cast(T, found)

    def seen(self) -> int:
        """Another number after every commit of anybody; only on the event loop's thread."""
        self._forget_if_changed()
        return self._seen

    def moment(self) -> "Moment":
        """`seen`, asked anew now, whatever was asked in this turn, and once for all in the block:
        for answers that are given while requests are still read from sockets."""
        return self._moment

    async def scan(self, query: "Query[T]", *args: Any) -> T:
        """Run a query in a thread, or give what it found when nothing has changed since."""
        self._forget_if_changed()
        key = (query, *args)
        found = self._hot.get(key, self)
        if found is self:
            # All who ask while it runs share what it finds: nothing has changed since it began.
            scan = self._under_way.get(key)
            if scan is None:
                scan = self._under_way[key] = asyncio.create_task(self._scan(key, query, args))
                scan.add_done_callback(partial(self._scanned, key))
            found = await asyncio.shield(scan)  # the others wait on where one of them leaves
        return cast(T, found)

    async def _scan(self, key: Any, query: "Query[T]", args: tuple[Any, ...]) -> T:
        seen = self._seen
        found = await self._scans.scan(query, *args)
        if seen == self._data_version():
            self._keep(key, found)
        return found

    def _scanned(self, key: Any, scan: "asyncio.Task[Any]") -> None:
        if self._under_way.get(key) is scan:
            del self._under_way[key]
        if not scan.cancelled():
            scan.exception()  # told to whoever still waits; with nobody there it is no news

    async def fresh(self, query: "Query[T]", *args: Any) -> T:
        """Run a query in a thread, and do not remember what it finds."""
        return await self._scans.fresh(query, *args)

    def close(self) -> None:
        """Stop reading."""
        self._scans.close()

    def _in_one_state(self, query: "Query[T]", args: tuple[Any, ...]) -> T:
        with translated():
            self._connection.execute("BEGIN")
            try:
                return query(self._tx, *args)
            finally:
                self._connection.execute("ROLLBACK")

    def _data_version(self) -> int:
        try:
            return int(self._version.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            with translated():  # entered only here: it costs half as much as the question
                raise

    def _forget_if_changed(self) -> None:
        if not self.is_held and (self._engine.commits != self._commits or self._turn.is_new()):
            self.ask()

    def ask(self) -> None:
        """Ask whether anybody committed, and forget what was remembered if so."""
        self._commits = self._engine.commits
        version = self._data_version()
        if version != self._seen:
            self._seen = version
            self._hot.clear()
            self._under_way.clear()
            self._bytes = 0

    def _keep(self, key: Any, found: Any) -> None:
        size = _size(found)
        if len(self._hot) < HOT_ROWS_MAX and self._bytes + size <= HOT_BYTES_MAX:
            self._hot[key] = found
            self._bytes += size


class Moment:
    """A block without an `await`, in which the database is asked once whether anybody committed.

    Gives the number of its state, as `SQLiteReads.seen`. Raises what reading does.
    """

    def __init__(self, reads: SQLiteReads) -> None:
        self._reads = reads

    def __enter__(self) -> int:
        self._reads.ask()
        self._reads.is_held = True
        return self._reads.seen()

    def __exit__(self, *_: object) -> None:
        self._reads.is_held = False


# Any: what queries find.
def _size(found: Any) -> int:
    """How many bytes are kept with what was found, at most."""
    match found:
        case bytes() | str():
            return len(found)
        case tuple():
            return sum(map(_size, found))
        case list():
            return ITEM_BYTES * len(found)
        case dict():
            inner = sum(_size(each) for each in found.values() if isinstance(each, dict | list))
            return ITEM_BYTES * len(found) + inner
        case _:
            return 0
