"""The checkpointer works beside everything else, holds nobody up, and ends when it is asked to."""

import asyncio
from contextlib import suppress

import pytest

from domain.commands import fleet_commands
from domain.log.recorder import now
from projections.past import checkpoints
from runners.database import checkpointer
from runners.database.checkpointer import Checkpointer
from tests.projections.histories import carry_out, random_history
from tests.support.service import wait_for
from tests.support.stores import WAIT_TIMEOUT_S, Store, done, postgres_store, sqlite_store, store

__all__ = ["postgres_store", "sqlite_store", "store"]

EVERY = 16


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of tests are short."""
    monkeypatch.setattr(checkpoints, "INTERVAL_EVENTS", EVERY)
    monkeypatch.setattr(checkpointer, "LOOK_EVERY_S", 0.01)


def count(store: Store) -> int:
    """How many there are."""
    with store.engine.snapshot() as tx:
        return len(checkpoints.all_of_them(tx))


async def until(store: Store, wanted: int) -> None:
    """There are so many."""
    await asyncio.to_thread(wait_for, lambda: count(store) >= wanted)


async def ended(task: "asyncio.Task[None]") -> None:
    """It was asked to end, and does."""
    task.cancel()
    async with asyncio.timeout(WAIT_TIMEOUT_S):
        with suppress(asyncio.CancelledError):
            await task


async def test_it_follows_the_log_by_itself(store: Store) -> None:
    carry_out(store, random_history(3, 60))
    with store.writer() as writer:
        task = asyncio.create_task(Checkpointer(store.engine, writer, now).run())
        await until(store, 2)
        before = await asyncio.to_thread(count, store)
        for number in range(2 * EVERY):  # while it is at it
            await asyncio.to_thread(
                done, writer, fleet_commands.create_cluster, f"c{number}", "default", ""
            )
        await until(store, before + 2)
        await ended(task)


async def test_it_ends_in_the_middle_of_its_work(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer, "WORK_S", 0)
    carry_out(store, random_history(3, 200))
    with store.writer() as writer:
        slow = Checkpointer(store.engine, writer, now, pause_s=0.05)
        task = asyncio.create_task(slow.run())
        await until(store, 1)
        await ended(task)
        made = await asyncio.to_thread(count, store)
        # Whoever comes next goes on from there.
        again = asyncio.create_task(Checkpointer(store.engine, writer, now, pause_s=0).run())
        await until(store, made + 1)
        await ended(again)


async def test_what_cannot_be_written_is_tried_again(store: Store) -> None:
    carry_out(store, random_history(3, 60))
    with store.writer() as stopped:
        pass
    task = asyncio.create_task(Checkpointer(store.engine, stopped, now).run())
    await asyncio.sleep(0.1)
    assert not task.done()
    assert count(store) == 0
    await ended(task)
    with store.writer() as writer:
        Checkpointer(store.engine, writer, now).catch_up()
    assert count(store) > 1
