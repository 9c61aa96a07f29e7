"""Reads never tell an older state than anybody was told before."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.commands import fleet_commands
from domain.log.transaction import Transaction
from projections import clusters
from projections import reads as read_models
from projections.reads import Reads, SQLiteReads, ThreadedReads, reads
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store, done

ROUNDS = 150
OTHER_PROCESS = """
import sys
from pathlib import Path
from domain.log.engines.sqlite import SQLiteEngine
engine = SQLiteEngine(Path(sys.argv[1]))
for line in sys.stdin:
    with engine.append(10) as appending:
        appending.tx.execute("UPDATE counter SET n = ?", (int(line),))
        appending.commit()
    print(line, end="", flush=True)
engine.close()
"""


@asynccontextmanager
async def reading(store: Store) -> AsyncIterator[Reads]:
    """Reads of a store."""
    answers = reads(store.engine)
    try:
        yield answers
    finally:
        answers.close()


@pytest.fixture
def counter(store: Store) -> Store:
    """A store with a number in it."""
    with store.engine.append(1) as appending:
        appending.tx.execute("CREATE TABLE counter (n BIGINT NOT NULL)")
        appending.tx.execute("INSERT INTO counter VALUES (0)")
        appending.commit()
    return store


def number(tx: Transaction) -> int:
    """The number."""
    return int(tx.execute("SELECT n FROM counter").fetchone()[0])


def set_number(store: Store, n: int) -> None:
    """Write the number."""
    with store.engine.append(WAIT_TIMEOUT_S) as appending:
        appending.tx.execute("UPDATE counter SET n = ?", (n,))
        appending.commit()


async def test_the_reads_fit_the_engine(store: Store) -> None:
    async with reading(store) as answers:
        assert isinstance(answers, SQLiteReads if store.path.exists() else ThreadedReads)


async def test_what_was_answered_is_read_back_at_once(store: Store) -> None:
    async with reading(store) as answers:
        with store.writer() as writer:
            for n in range(50):
                name = f"c{n}"
                assert await answers.point(clusters.cluster, name) is None
                command = fleet_commands.create_cluster
                await writer.perform(ACT, lambda u, c=name, f=command: f(u, c, "default", ""))  # type: ignore[misc] # bound early
                assert await answers.point(clusters.cluster, name) is not None
                assert name.encode() in await answers.scan(clusters.names)
                assert name.encode() in await answers.fresh(clusters.names)


async def test_nobody_reads_an_older_state_than_was_committed_by_a_thread(counter: Store) -> None:
    committed = 0
    stop = threading.Event()

    def write() -> None:
        nonlocal committed
        n = 0
        while not stop.is_set():
            n += 1
            set_number(counter, n)
            committed = n

    async def read(way: str) -> None:
        last = 0
        for _ in range(ROUNDS):
            known = max(committed, last)
            found = await getattr(answers, way)(number)
            assert found >= known, way
            last = found
            await asyncio.sleep(0)

    thread = threading.Thread(target=write)
    async with reading(counter) as answers:
        thread.start()
        try:
            ways = ("point", "scan", "fresh", "point", "scan")
            await asyncio.gather(*(read(way) for way in ways))
        finally:
            stop.set()
            await asyncio.to_thread(thread.join)
        assert committed > 0
        assert await answers.point(number) == committed == await answers.scan(number)


@pytest.mark.parametrize("way", ["point", "scan"])
async def test_nobody_reads_an_older_state_than_another_process_committed(
    sqlite_store: Store, way: str
) -> None:
    with sqlite_store.engine.append(1) as appending:
        appending.tx.execute("CREATE TABLE counter (n BIGINT NOT NULL)")
        appending.tx.execute("INSERT INTO counter VALUES (0)")
        appending.commit()
    other = subprocess.Popen(  # noqa: ASYNC220 - it starts before anything waits
        [sys.executable, "-c", OTHER_PROCESS, sqlite_store.path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdin is not None
    assert other.stdout is not None
    async with reading(sqlite_store) as answers:
        for n in range(1, ROUNDS):
            other.stdin.write(f"{n}\n")
            other.stdin.flush()
            early = await getattr(answers, way)(number)  # while it commits: the old or the new
            assert early in (n - 1, n)
            assert (await asyncio.to_thread(other.stdout.readline)).strip() == str(n)
            assert await getattr(answers, way)(number) == n
            assert await getattr(answers, way)(number) == n
    other.stdin.close()
    assert other.wait(WAIT_TIMEOUT_S) == 0
    other.stdout.close()


async def test_a_scan_that_was_overtaken_is_not_remembered(sqlite_store: Store) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(tx: Transaction) -> bytes:
        found = clusters.names(tx)
        begun.set()
        go.wait(WAIT_TIMEOUT_S)
        return found

    async with reading(sqlite_store) as answers:
        with sqlite_store.writer() as writer:
            scan = asyncio.create_task(answers.scan(slow))
            await asyncio.to_thread(begun.wait, WAIT_TIMEOUT_S)
            done(writer, fleet_commands.create_cluster, "web", "default", "")
            # Somebody notices the change while the scan still looks at the state before it.
            assert await answers.point(clusters.names) == b'["web"]'
            go.set()
            assert await scan == b"[]"
            assert await answers.scan(slow) == b'["web"]'


async def test_a_query_sees_one_state_from_its_begin_to_its_end(counter: Store) -> None:
    def twice(tx: Transaction) -> tuple[int, int]:
        first = number(tx)
        thread = threading.Thread(target=set_number, args=(counter, first + 1))
        thread.start()
        thread.join(WAIT_TIMEOUT_S)
        return first, number(tx)

    async with reading(counter) as answers:
        assert await answers.point(twice) == (0, 0)
        assert await answers.scan(twice) == (1, 1)
        assert await answers.point(number) == 2


async def test_a_query_with_a_defect_is_told_and_the_next_one_works(store: Store) -> None:
    def wrong(tx: Transaction) -> None:
        tx.execute("SELECT no_such_column FROM clusters")

    async with reading(store) as answers:
        for ask in (answers.point, answers.scan, answers.fresh):
            with pytest.raises(Exception, match="no_such_column"):
                await ask(wrong)
            assert await ask(clusters.names) == b"[]"


async def test_a_read_cannot_write(store: Store) -> None:
    def write(tx: Transaction) -> None:
        tx.execute("INSERT INTO heartbeats VALUES ('a', 'b')")

    async with reading(store) as answers:
        with pytest.raises(Exception, match=r"read-?only|readonly"):
            await answers.point(write)


@pytest.mark.parametrize(
    "found",
    [
        b"x" * 100_000,
        ("x" * 100_000, 7),
        [("10.0.0.7", "active")] * 200,
        {"status": {str(number): 1 for number in range(200)}},
        ((b"x" * 50_000, "tag"), (b"x" * 50_000, "tag")),
    ],
)
async def test_all_that_is_remembered_is_counted(
    counter: Store, monkeypatch: pytest.MonkeyPatch, found: object
) -> None:
    monkeypatch.setattr(read_models, "HOT_BYTES_MAX", 350_000)
    asked = 0

    def query(_: Transaction, number: int) -> object:
        nonlocal asked
        asked += 1
        return found

    async with reading(counter) as answers:
        for number in [*range(10), *range(10)]:
            assert await answers.scan(query, number) == found
    if isinstance(answers, ThreadedReads):
        assert asked == 20  # it remembers nothing
    else:
        assert 10 < asked < 20  # some are remembered, and not all
