"""One question for all who have it: nobody gets an older answer, or goes without one."""

import asyncio
import random

import pytest

from runners.os_support.shared_answer import SharedAnswer

LIMIT_S = 60.0


class Oracle:
    """Is asked one question after the other, and answers when the test lets it."""

    def __init__(self) -> None:
        self.asked = self.now = 0
        self.may_answer = asyncio.Semaphore(0)

    async def ask(self) -> int:
        """The time at which it was asked."""
        self.asked += 1
        seen = self.now
        await self.may_answer.acquire()
        if seen < 0:
            raise OSError("it cannot say")
        return seen


async def turn(times: int = 5) -> None:
    """Let whatever can go on go on."""
    for _ in range(times):
        await asyncio.sleep(0)


async def test_whoever_asks_while_another_is_answered_gets_an_answer_of_their_own() -> None:
    oracle = Oracle()
    shared = SharedAnswer(oracle.ask, "question")
    first = asyncio.create_task(shared())
    await turn()
    oracle.now = 1
    second, third = asyncio.create_task(shared()), asyncio.create_task(shared())
    await turn()
    oracle.may_answer.release()
    oracle.may_answer.release()
    assert list(await asyncio.gather(first, second, third)) == [0, 1, 1]
    assert oracle.asked == 2


async def test_who_asked_first_and_leaves_takes_nobodys_answer_along() -> None:
    oracle = Oracle()
    shared = SharedAnswer(oracle.ask, "question")
    first, second = asyncio.create_task(shared()), asyncio.create_task(shared())
    await turn()
    first.cancel()
    await turn()
    oracle.may_answer.release()
    assert await second == 0
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_an_error_goes_to_all_who_wait_for_it_and_to_nobody_later() -> None:
    oracle = Oracle()
    oracle.now = -1
    shared = SharedAnswer(oracle.ask, "question")
    both = [asyncio.create_task(shared()) for _ in range(2)]
    await turn()
    oracle.now = 7
    later = asyncio.create_task(shared())
    oracle.may_answer.release()
    oracle.may_answer.release()
    found = await asyncio.gather(*both, later, return_exceptions=True)
    assert [type(one) for one in found] == [OSError, OSError, int]


@pytest.mark.parametrize("seed", range(20))
async def test_in_every_order_each_gets_an_answer_that_is_not_older_than_the_question(
    seed: int,
) -> None:
    chance = random.Random(seed)
    oracle = Oracle()
    shared = SharedAnswer(oracle.ask, "question")

    async def ask() -> None:
        asked_at = oracle.now
        assert await shared() >= asked_at

    asking: list[asyncio.Task[None]] = []
    left = 0
    for _ in range(200):
        oracle.now += 1
        what = chance.randrange(4)
        if what < 2 or not asking:
            asking.append(asyncio.create_task(ask()))
        elif what == 2:
            oracle.may_answer.release()
        else:
            left += chance.choice(asking).cancel()
        await turn(chance.randrange(3))
    for _ in range(200):
        oracle.may_answer.release()
    async with asyncio.timeout(LIMIT_S):
        found = await asyncio.gather(*asking, return_exceptions=True)
    gone = [one for one in found if isinstance(one, asyncio.CancelledError)]
    assert len(gone) <= left
    assert all(one is None for one in found if one not in gone)


async def test_closing_ends_what_is_under_way_and_what_is_next() -> None:
    oracle = Oracle()
    shared = SharedAnswer(oracle.ask, "question")
    asking = [asyncio.create_task(shared())]
    await turn()
    asking.append(asyncio.create_task(shared()))
    await turn()
    await asyncio.wait_for(shared.close(), LIMIT_S)
    await asyncio.wait(asking, timeout=LIMIT_S)
    assert all(task.cancelled() for task in asking)
    assert oracle.asked == 1
