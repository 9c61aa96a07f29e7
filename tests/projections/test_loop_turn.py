"""What is asked once in a turn of the event loop."""

import asyncio

from projections.loop_turn import Turn


async def test_in_one_turn_only_the_first_asks() -> None:
    turn = Turn()
    assert [turn.is_new() for _ in range(3)] == [True, False, False]


async def test_tasks_that_begin_after_the_first_asked_ask_again() -> None:
    turn = Turn()

    async def ask() -> bool:
        return turn.is_new()

    before = asyncio.create_task(ask())  # as of a request that was received before
    assert turn.is_new()
    after = asyncio.create_task(ask())  # as of a request that was received since
    assert [await before, await after] == [False, True]


async def test_once_it_is_told_to_end_it_asks_again() -> None:
    turn = Turn()
    assert turn.is_new()
    turn.end()
    assert turn.is_new()


def test_where_no_event_loop_runs_everybody_asks() -> None:
    turn = Turn()
    assert [turn.is_new() for _ in range(3)] == [True, True, True]
