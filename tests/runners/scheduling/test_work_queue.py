"""WorkQueue: what is due is done, in fair order, so many at once, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runners.scheduling.work_queue import Priority, Requeue, WorkQueue
from tests.runners.stage import until

LATER_S = 3600.0


class Desk:
    """WorkQueue whose doings end when the test says so."""

    def __init__(self, parallel: int = 4, slow_max: int = 0) -> None:
        self.queue = WorkQueue(self._do, parallel, slow_max)
        self.begun: list[str] = []
        self.cues: dict[str, asyncio.Future[Requeue | None]] = {}
        self.most = 0

    async def _do(self, key: str) -> Requeue | None:
        assert key not in self.cues, "one key twice at the same time"
        self.begun.append(key)
        self.cues[key] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.cues))
        try:
            return await self.cues[key]
        finally:
            del self.cues[key]

    async def end(self, key: str, outcome: Requeue | Exception | None = None) -> None:
        """Let what is being done for this key end."""
        await until(lambda: key in self.cues)
        cue = self.cues[key]
        if isinstance(outcome, Exception):
            cue.set_exception(outcome)
        else:
            cue.set_result(outcome)
        await until(lambda: self.cues.get(key) is not cue)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Four slots."""
    desk = Desk()
    async with desk.queue.running():
        yield desk


async def test_never_more_than_the_slots_are_taken_and_all_keys_are_done_in_order(
    desk: Desk,
) -> None:
    keys = [f"k{number}" for number in range(100)]
    for key in keys:
        desk.queue.enqueue(key)
    for key in keys:
        await desk.end(key)
    assert desk.begun == keys
    assert desk.most == 4
    assert len(desk.queue) == 0


async def test_what_was_wished_before_running_is_done_when_it_runs() -> None:
    desk = Desk()
    desk.queue.enqueue("early")
    async with desk.queue.running():
        await desk.end("early")


async def test_a_key_that_is_asked_for_while_it_is_done_is_done_once_more_at_once(
    desk: Desk,
) -> None:
    desk.queue.enqueue("k")
    await until(lambda: "k" in desk.cues)
    for _ in range(3):
        desk.queue.enqueue("k")
    await desk.end("k", Requeue(LATER_S, Priority.RETRY))
    await desk.end("k")
    assert desk.begun == ["k", "k"]


async def test_a_pause_ends_early_when_somebody_asks(desk: Desk) -> None:
    desk.queue.enqueue("k")
    await desk.end("k", Requeue(LATER_S, Priority.RETRY))
    assert len(desk.queue) == 1
    desk.queue.enqueue("k")
    await desk.end("k")
    assert len(desk.queue) == 0


async def test_a_later_time_replaces_an_earlier_one_and_the_other_way_round(desk: Desk) -> None:
    desk.queue.enqueue_after(0.01, "postponed")
    desk.queue.enqueue_after(LATER_S, "postponed")
    desk.queue.enqueue_after(LATER_S, "hastened")
    desk.queue.enqueue_after(0.02, "hastened")
    await desk.end("hastened")
    assert desk.begun == ["hastened"]


async def test_what_is_forgotten_is_not_done_wherever_it_waits(desk: Desk) -> None:
    for key in ("a", "b", "c", "d", "queued", "queued-last"):
        desk.queue.enqueue(key)
    desk.queue.enqueue_after(0.01, "timed")
    await until(lambda: len(desk.cues) == 4)
    desk.queue.forget("queued")
    desk.queue.forget("timed")
    for key in ("a", "b", "c", "d", "queued-last"):
        await desk.end(key)
    assert "queued" not in desk.begun
    assert len(desk.queue) == 0


async def test_what_is_forgotten_while_it_is_done_is_cancelled_and_may_be_asked_for_again(
    desk: Desk,
) -> None:
    desk.queue.enqueue("k")
    await until(lambda: "k" in desk.cues)
    desk.queue.forget("k")
    desk.queue.enqueue("k")
    await until(lambda: desk.begun == ["k", "k"] and "k" in desk.cues)
    desk.queue.forget("k")
    await until(lambda: len(desk.queue) == 0)


async def test_repeats_leave_slots_to_what_is_new() -> None:
    desk = Desk(parallel=16)
    async with desk.queue.running():
        for number in range(200):
            desk.queue.enqueue_after(0.0, f"dead{number}")
        await until(lambda: len(desk.cues) == 12)
        desk.queue.enqueue("new")
        await until(lambda: "new" in desk.cues)
        assert len(desk.begun) == 13
        await desk.end("new", Requeue(0.0, Priority.CONTINUED))
        await until(lambda: desk.begun.count("new") == 2)  # its next attempt waits for none either


async def test_what_is_new_goes_first_even_where_there_is_one_slot() -> None:
    desk = Desk(parallel=1)
    async with desk.queue.running():
        for key in ("dead0", "dead1", "dead2"):
            desk.queue.enqueue_after(0.0, key)
        await until(lambda: desk.begun == ["dead0"])
        desk.queue.enqueue("new")
        await desk.end("dead0")
        await until(lambda: desk.begun == ["dead0", "new"])


async def test_draining_begins_nothing_more_and_waits_for_what_is_done(desk: Desk) -> None:
    for key in ("a", "b", "c", "d", "e"):
        desk.queue.enqueue(key)
    desk.queue.enqueue_after(0.0, "timed")
    await until(lambda: len(desk.cues) == 4)
    draining = asyncio.create_task(desk.queue.drain(LATER_S))
    for key in ("a", "b", "c"):
        await desk.end(key, Requeue(0.0, Priority.RETRY))
    assert not draining.done()
    desk.queue.enqueue("late")
    await desk.end("d")
    await draining
    assert desk.begun == ["a", "b", "c", "d"]


async def test_draining_gives_up_at_its_limit(desk: Desk) -> None:
    desk.queue.enqueue("slow")
    await until(lambda: "slow" in desk.cues)
    await desk.queue.drain(0.01)
    assert "slow" in desk.cues


async def test_a_defect_ends_it_loudly_and_the_others_are_cancelled() -> None:
    desk = Desk()

    async def run() -> None:
        async with desk.queue.running():
            desk.queue.enqueue("other")
            desk.queue.enqueue("broken")
            desk.queue.enqueue_after(0.05, "later")
            await desk.end("broken", ValueError("a defect"))
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await run()
    assert [str(error) for error in raised.value.exceptions] == ["a defect"]
    assert desk.cues == {}


async def test_nothing_stays_of_10000_keys_that_were_wished_replaced_and_forgotten(
    desk: Desk,
) -> None:
    for number in range(10_000):
        desk.queue.enqueue_after(LATER_S, f"k{number % 100}")
        desk.queue.enqueue_after(LATER_S + number, f"k{number % 100}")
    assert len(desk.queue) == 100
    for number in range(100):
        desk.queue.forget(f"k{number}")
    assert len(desk.queue) == 0


async def test_slow_ones_leave_their_slots_until_so_many_have() -> None:
    desk = Desk(parallel=2, slow_max=4)
    async with desk.queue.running():
        for number in range(6):
            desk.queue.enqueue(f"silent {number}")
        await until(lambda: len(desk.cues) == 6)
        assert desk.begun[:2] == ["silent 0", "silent 1"]
        desk.queue.enqueue("one too many")
        await desk.end("silent 0")
        await until(lambda: "one too many" in desk.cues)
        assert desk.most == 6
        for key in [*desk.cues]:
            await desk.end(key)
    assert len(desk.queue) == 0


async def test_slots_that_were_left_are_left_by_lane_too() -> None:
    desk = Desk(parallel=2, slow_max=2)
    async with desk.queue.running():
        for number in range(4):
            desk.queue.enqueue_after(0, f"failed {number}", Priority.RETRY)
        await until(lambda: len(desk.cues) == 3)
        desk.queue.enqueue("asked for")
        await until(lambda: "asked for" in desk.cues)
        assert "failed 3" not in desk.cues
        for key in [*desk.cues]:
            await desk.end(key)


async def test_a_key_that_is_forgotten_before_its_work_began_can_be_enqueued_again(
    desk: Desk,
) -> None:
    desk.queue.enqueue("a")
    desk.queue.forget("a")
    desk.queue.enqueue("a")
    await desk.end("a")
    assert desk.begun == ["a"]
    await until(lambda: not len(desk.queue))
