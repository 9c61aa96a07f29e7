"""Failures of HTTP Basic: what is counted, what waits, and whom it holds up."""

import asyncio
import time

import pytest

from domain.roles import ROLES, Role
from tests.web.authentication.door import (
    FAILURES_PER_MINUTE,
    SLOW_COST,
    Door,
    account,
    basic,
    door,
    scope,
    until,
)
from web.authentication.authentication import (
    NO_PASSWORD,
    Account,
    Identity,
    TooManyFailures,
)
from web.authentication.basic import REFUSED_PAIRS_MAX, client_of
from web.authentication.password_queue import WAITING_PER_CLIENT_MAX

__all__ = ["door"]


async def test_the_same_wrong_pair_is_hashed_once_and_refused_from_memory(door: Door) -> None:
    header = basic("ada", "wrong")
    answers = [await door.answer(header) for _ in range(FAILURES_PER_MINUTE * 3)]
    assert set(answers) == {"Forbidden"}
    assert door.queue.hashed == 1


async def test_what_is_refused_from_memory_has_a_bound(door: Door) -> None:
    for number in range(REFUSED_PAIRS_MAX + 10):
        door.basic._refused.keep(number.to_bytes(4), "ada", None)
    assert len(door.basic._refused._pairs) == REFUSED_PAIRS_MAX


async def test_many_clients_that_bring_the_same_pair_share_one_hash(door: Door) -> None:
    header = basic("ada", "secret")
    async with asyncio.TaskGroup() as together:
        tasks = [
            together.create_task(door.answer(header, f"192.0.2.{number % 50}"))
            for number in range(200)
        ]
    assert {task.result() for task in tasks} == {"ada"}
    assert door.queue.hashed == 1


async def test_after_too_many_failures_new_credentials_must_wait(door: Door) -> None:
    for number in range(FAILURES_PER_MINUTE):
        assert await door.answer(basic("ada", f"wrong {number}")) == "Forbidden"
    with pytest.raises(TooManyFailures) as refused:
        await door.ask(basic("ada", "secret"))
    assert refused.value.retry_after_s == 60 // FAILURES_PER_MINUTE
    assert await door.answer(basic("ada", "wrong 0")) == "Forbidden", "known to be wrong"
    assert await door.answer(basic("ada", "secret"), client="192.0.2.2") == "ada"
    door.clock.now += refused.value.retry_after_s
    assert await door.answer(basic("bob", "p:w:d")) == "bob"


async def test_verified_credentials_are_served_whatever_else_their_client_sends(
    door: Door,
) -> None:
    await door.ask(basic("ada", "secret"))
    for number in range(FAILURES_PER_MINUTE):
        assert await door.answer(basic("ada", f"wrong {number}")) == "Forbidden"
    assert await door.answer(basic("ada", "one more")) == "TooManyFailures"
    assert await door.answer(basic("ada", "secret")) == "ada"


async def test_right_log_ins_do_not_count_as_failures(door: Door) -> None:
    for number in range(FAILURES_PER_MINUTE * 2):
        door.users.users[f"user{number}"] = account("secret")
    for number in range(FAILURES_PER_MINUTE * 2):
        assert await door.answer(basic(f"user{number}", "secret")) == f"user{number}"


async def test_a_flood_from_one_client_does_not_hold_up_the_others(door: Door) -> None:
    users = [f"good{number}" for number in range(10)]
    known = account("secret", cost=8)
    door.users.users |= dict.fromkeys(users, known)
    flood = [
        asyncio.create_task(door.answer(basic("ada", f"wrong {number}"), "198.51.100.1"))
        for number in range(2000)
    ]
    await until(lambda: door.queue.hashed > 0)
    before = door.queue.hashed
    good = await asyncio.gather(
        *(door.answer(basic(u, "secret"), f"192.0.2.{n}") for n, u in enumerate(users))
    )
    hashed_meanwhile = door.queue.hashed - before
    answers = await asyncio.gather(*flood)
    assert good == users
    # In turns: nobody has waited for more than a hash or two of the flood.
    assert hashed_meanwhile <= len(users) + 3
    assert set(answers) == {"Forbidden", "TooManyFailures", "LogInsBusy"}
    assert answers.count("Forbidden") <= FAILURES_PER_MINUTE
    assert door.queue.hashed <= FAILURES_PER_MINUTE + len(users)


async def test_what_one_client_may_have_waiting_has_a_bound(door: Door) -> None:
    door.users.users["ada"] = account("secret", cost=SLOW_COST)
    tasks = [
        asyncio.create_task(door.answer(basic("ada", f"wrong {number}")))
        for number in range(WAITING_PER_CLIENT_MAX + 10)
    ]
    await until(lambda: sum(task.done() for task in tasks) >= 9)
    assert {task.result() for task in tasks if task.done()} == {"LogInsBusy"}
    door.queue.close()
    await asyncio.gather(*tasks)


async def test_the_event_loop_goes_on_while_passwords_are_hashed(door: Door) -> None:
    door.users.users["ada"] = account("secret", cost=SLOW_COST)
    asked = asyncio.create_task(door.answer(basic("ada", "secret")))
    await until(lambda: door.queue.hashed == 1)
    turns = 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    assert await asked == "ada"
    assert turns > 20


async def test_a_client_that_hangs_up_does_not_take_the_hash_from_the_others(door: Door) -> None:
    door.users.users["ada"] = account("secret", cost=SLOW_COST)
    first = asyncio.create_task(door.answer(basic("ada", "secret")))
    await until(lambda: door.queue.hashed == 1)
    second = asyncio.create_task(door.answer(basic("ada", "secret")))
    first.cancel()
    assert await second == "ada"
    assert door.queue.hashed == 1


async def test_an_unknown_user_takes_as_long_as_a_known_one(door: Door) -> None:
    without = Account(NO_PASSWORD, "viewer")
    door.users.users = {"ada": account("secret", cost=SLOW_COST), "robot": without}

    async def shortest_s(user: str) -> float:
        took = []
        for number in range(3):
            # CPU time of all threads: what others do on the machine is no part of it.
            began = time.process_time()
            assert await door.answer(basic(user, f"wrong {number}")) == "Forbidden"
            took.append(time.process_time() - began)
        return min(took)

    known = await shortest_s("ada")
    for other in ("nobody", "robot"):
        # Without a hash it would be a thousandth.
        assert 1 / 3 < await shortest_s(other) / known < 3


async def test_an_unknown_name_always_has_a_cost_of_the_file(door: Door) -> None:
    door.users.users = {"ada": account("x", cost=4), "bob": account("x", cost=5)}
    names = [f"nobody{number}" for number in range(50)]

    def costs() -> list[int]:
        unknown = door.basic._unknown
        return [int(unknown.hash_for(n, door.users.users)[4:6]) for n in names]

    assert costs() == costs()
    assert set(costs()) == {4, 5}


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/commissaire.sock", "/run/commissaire.sock"),
    ],
)
def test_failures_are_counted_by_address_or_by_ipv6_network(address: str, client: str) -> None:
    assert client_of(scope(None, address)) == client


def test_clients_without_an_address_are_counted_together() -> None:
    assert client_of({"headers": [], "client": None}) == ""


@pytest.mark.parametrize(
    ("have", "may"), [("viewer", (1, 0, 0)), ("operator", (1, 1, 0)), ("admin", (1, 1, 1))]
)
def test_each_role_may_do_what_the_lesser_may(have: Role, may: tuple[int, int, int]) -> None:
    identity = Identity("ada", have)
    assert tuple(identity.may_act_as(role) for role in ROLES) == may
