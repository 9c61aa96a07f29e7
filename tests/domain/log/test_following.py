"""Writers in threads and processes append while readers follow: every event once, in order."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from domain.aggregates.host import Registration
from domain.event import Recorded
from domain.log import recorder
from domain.log.engine import StoredEvent
from domain.log.follower import Follower, after
from domain.log.unit import Unit
from domain.log.writer import Writer
from tests.support.stores import ACT, Store, done

EVENTS = 2_000
PROOF_EVENTS = 25_000
FOLLOW_TIMEOUT_S = 240
WRITING_PROCESS = """
import sys
from contextlib import ExitStack
from tests.domain.log.test_following import append_many
from tests.support.stores import Store
with ExitStack() as opened:
    store = Store(sys.argv[1], opened)
    with store.writer(timeout_s=120) as writer:
        append_many(writer, sys.argv[2], int(sys.argv[3]))
"""


def append_many(writer: Writer, name: str, count: int) -> None:
    """Register a host, then read its credentials again and again: `count` events."""

    def read(unit: Unit) -> None:
        unit.host(name).read_credentials()

    done(writer, lambda unit: unit.host(name).register(Registration("root", 22), "x"))
    for begin in range(1, count, 100):
        futures = [writer.submit(ACT, read) for _ in range(min(100, count - begin))]
        for future in futures:
            future.result(FOLLOW_TIMEOUT_S)


def follow(store: Store, total: int, stop: threading.Event, seen: list[tuple[int, str]]) -> None:
    """Read by position until `total` events were seen."""
    engine = store.another_engine()
    position = 0
    while len(seen) < total and not stop.is_set():
        with engine.snapshot() as tx:
            found = recorder.entries(tx, position, 500)
        for entry in found:
            stored = entry.stored
            seen.append((entry.position, f"{stored.originator_id}@{stored.originator_version}"))
            position = entry.position


def appended_and_followed(store: Store, events: int, processes: int) -> None:
    """Two writers in threads of this process, and some processes, against a follower."""
    writers = 2 + processes
    share = events // writers
    seen: list[tuple[int, str]] = []
    stop = threading.Event()
    follower = threading.Thread(target=follow, args=(store, share * writers, stop, seen))
    follower.start()
    command = [sys.executable, "-c", WRITING_PROCESS, store.url]
    children = [subprocess.Popen([*command, f"p{n}", str(share)]) for n in range(processes)]
    try:
        with (
            store.writer(timeout_s=120) as one,
            store.writer(store.another_engine(), timeout_s=120) as two,
        ):
            threads = [
                threading.Thread(target=append_many, args=(writer, f"t{n}", share))
                for n, writer in enumerate((one, two))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(FOLLOW_TIMEOUT_S)
        assert [child.wait(FOLLOW_TIMEOUT_S) for child in children] == [0] * processes
        follower.join(FOLLOW_TIMEOUT_S)
    finally:
        stop.set()
        for child in children:
            child.kill()
            child.wait()
    names = [f"t{n}" for n in range(2)] + [f"p{n}" for n in range(processes)]
    expected = {f"host/{name}@{n}" for name in names for n in range(1, share + 1)}
    positions = [position for position, _ in seen]
    assert positions == sorted(set(positions))
    assert len(seen) == len(expected)
    assert {event for _, event in seen} == expected
    store.must_be_consistent()


def test_a_follower_sees_every_event_once_and_in_order(store: Store) -> None:
    appended_and_followed(store, EVENTS, processes=1)


@pytest.mark.proof
def test_a_follower_sees_every_one_of_25_000_events(store: Store) -> None:
    appended_and_followed(store, PROOF_EVENTS, processes=2)


@pytest.mark.parametrize("state", [b"{}", b'{"text":1'], ids=["a field is missing", "no JSON"])
@pytest.mark.parametrize("topic", ["host.registered", "host.of_tomorrow"])
async def test_a_follower_ends_before_what_cannot_be_read_and_hears_what_came_before(
    topic: str, state: bytes, store: Store
) -> None:
    with store.writer() as writer:
        append_many(writer, "a", 3)
    stored = StoredEvent("host/b", 1, topic, state)
    places = recorder.LogRecorder(store.engine).insert_events([stored, stored_like(stored)])
    assert places is not None

    def pull(position: int) -> Sequence[Recorded]:
        with store.engine.snapshot() as tx:
            return after(tx, position)

    follower = Follower(0, lambda position: asyncio.to_thread(pull, position))
    async with asyncio.timeout(FOLLOW_TIMEOUT_S):
        heard = [one.position async for batch in follower.batches() for one in batch]
    assert len(heard) == 3
    assert follower.stopped is not None
    assert f"cannot read position {places[0]} of the log, {topic} of host/b" in str(
        follower.stopped
    )
    follower.pass_over(follower.stopped)
    async with asyncio.timeout(FOLLOW_TIMEOUT_S):
        assert [batch async for batch in follower.batches()] == []
    assert f"position {places[1]} " in str(follower.stopped)


def stored_like(stored: StoredEvent) -> StoredEvent:
    """The same again, as the next of its stream."""
    return replace(stored, originator_version=stored.originator_version + 1)


@pytest.mark.parametrize("share", [300, pytest.param(PROOF_EVENTS // 2, marks=pytest.mark.proof)])
async def test_a_follower_that_is_pushed_to_sees_what_others_appended_too(
    share: int, store: Store
) -> None:
    """The one that the process managers use: pushed by our writer, pulled for the rest."""
    loop = asyncio.get_running_loop()
    engine = store.another_engine()

    def pull(position: int) -> Sequence[Recorded]:
        with engine.snapshot() as tx:
            return after(tx, position)

    follower = Follower(0, lambda position: asyncio.to_thread(pull, position))
    seen: list[str] = []

    async def read() -> None:
        async for batch in follower.batches():
            seen.extend(f"{r.event.originator_id}@{r.event.originator_version}" for r in batch)
            if len(seen) >= 2 * share:
                return

    def push(previous: int, recorded: Sequence[Recorded]) -> None:
        loop.call_soon_threadsafe(follower.push, previous, recorded)

    with store.writer(on_commit=push) as ours, store.writer(store.another_engine()) as theirs:
        await asyncio.wait_for(
            asyncio.gather(
                read(),
                asyncio.to_thread(append_many, ours, "a", share),
                asyncio.to_thread(append_many, theirs, "b", share),
            ),
            FOLLOW_TIMEOUT_S,
        )
    assert len(seen) == 2 * share
    for name in "ab":
        versions = [event for event in seen if event.startswith(f"host/{name}@")]
        assert versions == [f"host/{name}@{n}" for n in range(1, share + 1)]
