"""Who waits for a hash, for how long, and what becomes of those who leave."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import count

import bcrypt
import pytest
from starlette.requests import ClientDisconnect

from web.authentication import password_queue
from web.authentication.authentication import LogInsBusy, TooManyFailures
from web.authentication.login_lines import Rank
from web.authentication.password_queue import Attempt, PasswordQueue
from web.authentication.presence import Presence, presence_of

# About 0.05 s each: still under way when the test looks, and soon done.
COST = 9
WRONG = bcrypt.hashpw(b"another", bcrypt.gensalt(COST))
RIGHT = bcrypt.hashpw(b"secret", bcrypt.gensalt(COST))
LIMIT_S = 60.0

pairs = count()


def attempt(
    user: str = "ada",
    client: str = "192.0.2.1",
    *,
    right: bool = False,
    presence: Presence | None = None,
) -> Attempt:
    return Attempt(
        client,
        presence or Presence(),
        user,
        next(pairs).to_bytes(8),
        b"secret",
        RIGHT if right else WRONG,
        lambda: None,
        lambda matched: None,
    )


@pytest.fixture
async def queue() -> AsyncIterator[PasswordQueue]:
    running = PasswordQueue(20, threads=1)
    yield running
    running.close()


def begin(queue: PasswordQueue, *attempts: Attempt) -> "list[asyncio.Task[bool]]":
    return [asyncio.create_task(queue.matches(one)) for one in attempts]


async def flood(queue: PasswordQueue, user: str, size: int = 200) -> "list[asyncio.Task[bool]]":
    """Wrong passwords for one user, each from an address of its own; one is under way."""
    begun = begin(queue, *(attempt(user, f"198.51.100.{n}") for n in range(size)))
    await until(lambda: queue.waiting >= size * 0.6)
    return begun


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what changes has no event for tests
            await asyncio.sleep(0.001)


async def give_up(tasks: "list[asyncio.Task[bool]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_a_client_sent_that_has_left_is_not_hashed(queue: PasswordQueue) -> None:
    begun = await flood(queue, "ada")
    before = queue.hashed
    await give_up(begun)
    assert queue.waiting == 0
    assert await queue.matches(attempt("bob", "192.0.2.2", right=True))
    assert queue.hashed == before + 1


async def test_who_leaves_does_not_take_the_place_of_another_along(queue: PasswordQueue) -> None:
    begun = await flood(queue, "ada", 3)
    shared = attempt("bob", right=True)
    first, second = begin(queue, shared, replace(shared))
    await until(lambda: queue.waiting >= 2)
    first.cancel()
    assert await second
    await give_up(begun)


@pytest.mark.parametrize("who", ["a user from elsewhere", "another user from the same address"])
@pytest.mark.parametrize("attacked", ["ada", "eve"])
async def test_who_has_logged_in_before_has_a_line_of_their_own(
    queue: PasswordQueue, who: str, attacked: str
) -> None:
    assert await queue.matches(attempt("bob", "192.0.2.7", right=True))
    assert await queue.matches(attempt("ada", "192.0.2.8", right=True))
    begun = await flood(queue, attacked)
    elsewhere = who == "a user from elsewhere"
    mine = attempt(
        "bob" if elsewhere else "zoe", "192.0.2.9" if elsewhere else "192.0.2.7", right=True
    )
    before = queue.hashed
    after = begin(queue, mine)
    begun += await flood_on(queue, attacked)
    assert await after[0]
    assert queue.hashed - before <= 3
    await give_up(begun)


async def flood_on(queue: PasswordQueue, user: str, size: int = 50) -> "list[asyncio.Task[bool]]":
    """More of it, from further addresses."""
    before = queue.waiting
    begun = begin(queue, *(attempt(user, f"203.0.113.{n}") for n in range(size)))
    await until(lambda: queue.waiting > before + size - 5)
    return begun


async def test_a_stranger_does_not_wait_for_a_flood_that_came_before(queue: PasswordQueue) -> None:
    for attacked in ("ada", "zoe"):
        begun = await flood(queue, attacked)
        before = queue.hashed
        assert await queue.matches(attempt("zoe", "192.0.2.7", right=True))
        assert queue.hashed - before <= 2
        await give_up(begun)


async def test_a_flood_of_those_who_are_known_does_not_shut_out_strangers(
    queue: PasswordQueue,
) -> None:
    assert await queue.matches(attempt("ada", "192.0.2.7", right=True))
    begun = await flood(queue, "ada")
    before = queue.hashed
    assert await queue.matches(attempt("zoe", "192.0.2.9", right=True))
    assert queue.hashed - before <= 3
    await give_up(begun)


async def test_who_has_closed_its_half_waits_for_those_who_stay_and_few_do(
    queue: PasswordQueue,
) -> None:
    leaving = [Presence() for _ in range(50)]
    begun = begin(queue, *(attempt("ada", f"a{n}", presence=p) for n, p in enumerate(leaving)))
    await until(lambda: queue.waiting >= 40)
    for presence in leaving:
        presence.is_leaving = True
    assert await queue.matches(attempt("zoe", "192.0.2.9", right=True))
    assert queue.waiting <= password_queue.WAITING_MAX[Rank.LEAVING]
    ends = await asyncio.gather(*begun, return_exceptions=True)
    told = [end for end in ends if isinstance(end, LogInsBusy)]
    assert len(told) >= 40
    assert ends.count(False) == 50 - len(told)


async def test_who_stays_takes_over_the_attempt_of_one_that_is_leaving(
    queue: PasswordQueue,
) -> None:
    gone = Presence()
    begun = await flood(queue, "ada", 3)
    shared = attempt("bob", right=True, presence=gone)
    stays = replace(shared, presence=Presence())
    first = begin(queue, shared)
    gone.is_leaving = True
    begun += await flood_on(queue, "ada", 6)
    assert await asyncio.wait_for(queue.matches(stays), LIMIT_S)
    assert await first[0]
    await give_up(begun)


async def test_where_too_many_wait_the_oldest_is_told_so(
    queue: PasswordQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(password_queue.WAITING_MAX, Rank.STRANGER, 10)
    begun = await flood(queue, "ada", 11)
    newest = begin(queue, attempt("ada", "192.0.2.7", right=True))
    with pytest.raises(LogInsBusy, match="Too many log-ins wait"):
        await begun[1]
    assert await newest[0]
    await give_up(begun)


async def test_nobody_waits_for_ever(queue: PasswordQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_queue, "WAIT_S_MAX", 0.01)
    begun = await flood(queue, "ada", 30)
    ends = await asyncio.gather(*begun, return_exceptions=True)
    assert sum(isinstance(end, LogInsBusy) for end in ends) >= 29
    assert queue.waiting == 0


async def test_the_end_of_the_service_is_no_failure_of_those_who_wait(
    queue: PasswordQueue,
) -> None:
    begun = await flood(queue, "ada", 5)
    queue.close()
    ends = await asyncio.gather(*begun, return_exceptions=True)
    assert not any(isinstance(end, TooManyFailures) for end in ends)
    assert sum(isinstance(end, LogInsBusy) for end in ends) >= 4


# Presence


async def test_what_is_done_for_a_client_is_cancelled_when_it_leaves() -> None:
    presence = Presence()
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    attending = asyncio.create_task(presence.attend(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    presence.leave()
    with pytest.raises(ClientDisconnect):
        await attending
    assert cancelled.is_set()
    with pytest.raises(ClientDisconnect):
        await presence.attend(work())


async def test_who_is_cancelled_is_not_told_that_the_client_left() -> None:
    presence = Presence()
    attending = asyncio.create_task(presence.attend(asyncio.Event().wait()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    attending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attending
    assert await presence.attend(asyncio.sleep(0, "done")) == "done"


def test_where_no_server_says_clients_stay() -> None:
    assert not presence_of({}).is_gone
