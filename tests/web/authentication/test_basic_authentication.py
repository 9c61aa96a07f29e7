"""HTTP Basic: who gets in, who does not, and what it costs."""

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.authentication.door import (
    FAILURES_PER_MINUTE,
    SLOW_COST,
    Clock,
    Door,
    KnownUsers,
    account,
    basic,
    door,
    scope,
    until,
)
from web.authentication.authentication import (
    Authentication,
    Forbidden,
    Identity,
    Unauthenticated,
)
from web.authentication.basic import REMEMBERED_S, BasicAuthentication
from web.authentication.password_queue import PasswordQueue

__all__ = ["door"]


async def test_right_credentials_say_who_and_in_which_role(door: Door) -> None:
    assert await door.ask(basic("ada", "secret")) == Identity("ada", "admin")


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
async def test_the_scheme_is_read_in_any_case(door: Door, scheme: str) -> None:
    assert await door.answer(basic("ada", "secret", scheme)) == "ada"


async def test_a_password_may_contain_colons(door: Door) -> None:
    assert await door.answer(basic("bob", "p:w:d")) == "bob"


@pytest.mark.parametrize("prefix", [b"$2a$", b"$2b$", b"$2y$"])
async def test_hashes_of_old_files_are_understood(door: Door, prefix: bytes) -> None:
    known = account("secret")
    door.users.users["old"] = known._replace(hash=prefix + known.hash[4:])
    assert await door.answer(basic("old", "secret")) == "old"


@pytest.mark.parametrize("header", [None, b""])
async def test_without_credentials_the_answer_tells_how_to_log_in(
    door: Door, header: bytes | None
) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await door.ask(header)
    assert refused.value.challenges == ('Basic realm="commissaire"',)


MALFORMED = {
    "no token": b"Basic",
    "empty token": b"Basic ",
    "bad base64": b"Basic !!!!",
    "base64 cut short": b"Basic YWRhOnNlY3JldA",
    "not UTF-8": b"Basic " + base64.b64encode(b"ada:\xff\xfe"),
    "no colon": b"Basic " + base64.b64encode(b"adasecret"),
    "no user": b"Basic " + base64.b64encode(b":secret"),
    "NUL in the password": basic("ada", "secret\0"),
    "longer than bcrypt looks at": basic("ada", "s" * 73),
    "another scheme": b"Digest username=ada",
    "a scheme that is none": b"\xff\xfe",
    "two in one": basic("ada", "secret") + b", " + basic("ada", "secret"),
}


@pytest.mark.parametrize("header", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_credentials_are_wrong_ones_and_cost_no_hash(
    door: Door, header: bytes
) -> None:
    assert await door.answer(header) == "Forbidden"
    assert door.queue.hashed == 0


async def test_two_authorization_headers_are_wrong_ones(door: Door) -> None:
    twice = scope(basic("ada", "secret"))
    twice["headers"].append((b"authorization", basic("ada", "secret")))
    with pytest.raises(Forbidden):
        await Authentication(door.basic).authenticate(twice)


@given(header=st.binary() | st.binary().map(lambda b: b"Basic " + base64.b64encode(b)))
def test_no_header_makes_it_raise_anything_else(header: bytes) -> None:
    async def ask() -> str:
        users = KnownUsers({"ada": account("secret")})
        queue = PasswordQueue(FAILURES_PER_MINUTE, threads=1)
        try:
            answer = BasicAuthentication(users, queue)
            return await Door(users, queue, answer, Clock()).answer(header)
        finally:
            queue.close()

    assert asyncio.run(ask()) in ("Forbidden", "Unauthenticated")


async def test_verified_credentials_are_remembered(door: Door) -> None:
    header = basic("ada", "secret")
    assert door.basic.remembered(scope(header)) is None
    await door.ask(header)
    assert door.basic.remembered(scope(header)) == Identity("ada", "admin")
    assert await door.answer(header, client="192.0.2.9") == "ada"
    assert door.queue.hashed == 1


async def test_what_is_remembered_is_forgotten_when_nobody_uses_it(door: Door) -> None:
    header = basic("ada", "secret")
    await door.ask(header)
    door.clock.now += REMEMBERED_S - 1
    assert door.basic.remembered(scope(header)) is not None
    door.clock.now += REMEMBERED_S - 1
    assert door.basic.remembered(scope(header)) is not None
    door.clock.now += REMEMBERED_S + 1
    assert door.basic.remembered(scope(header)) is None


async def test_neither_passwords_nor_headers_are_kept_in_memory(door: Door) -> None:
    header = basic("ada", "secret")
    await door.ask(header)
    kept = repr(list(door.basic._verified._pairs.items()))
    assert "ada" in kept
    assert header.decode().split()[1] not in kept
    assert "secret" not in kept


async def test_a_removed_user_is_refused_at_once(door: Door) -> None:
    header = basic("ada", "secret")
    await door.ask(header)
    del door.users.users["ada"]
    assert door.basic.remembered(scope(header)) is None
    assert await door.answer(header) == "Forbidden"


async def test_a_new_role_holds_at_once(door: Door) -> None:
    header = basic("ada", "secret")
    await door.ask(header)
    door.users.users["ada"] = door.users.users["ada"]._replace(role="viewer")
    assert await door.ask(header) == Identity("ada", "viewer")


async def test_a_new_user_gets_in_although_the_pair_was_refused_before(door: Door) -> None:
    header = basic("eve", "apple")
    assert await door.answer(header) == "Forbidden"
    door.users.users["eve"] = account("apple")
    assert await door.answer(header) == "eve"


async def test_a_change_of_one_user_leaves_the_others_remembered(door: Door) -> None:
    header = basic("ada", "secret")
    await door.ask(header)
    door.users.users = dict(door.users.users) | {"eve": account("apple")}
    assert door.basic.remembered(scope(header)) is not None


async def test_a_user_removed_while_the_hash_is_under_way_is_refused(door: Door) -> None:
    door.users.users["ada"] = account("secret", cost=SLOW_COST)
    asked = asyncio.create_task(door.answer(basic("ada", "secret")))
    await until(lambda: door.queue.hashed == 1)
    del door.users.users["ada"]
    assert await asked == "Forbidden"


async def test_an_old_password_is_not_let_in_by_a_hash_that_was_asked_for_before_it_changed(
    door: Door,
) -> None:
    door.users.users["ada"] = account("old", cost=SLOW_COST)
    before = asyncio.create_task(door.answer(basic("ada", "old")))
    await until(lambda: door.queue.hashed == 1)
    door.users.users["ada"] = account("new")
    after = asyncio.create_task(door.answer(basic("ada", "old")))
    assert (await before, await after) == ("Forbidden", "Forbidden")
