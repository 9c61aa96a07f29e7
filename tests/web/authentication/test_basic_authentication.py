"""HTTP Basic: who gets in, who does not, and what it costs."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.roles import ROLES, Role
from web.authentication.authentication import (
    NO_PASSWORD,
    Account,
    Authentication,
    Forbidden,
    Identity,
    LogInsBusy,
    Scope,
    TooManyFailures,
    Unauthenticated,
)
from web.authentication.basic import REFUSED_PAIRS_MAX, REMEMBERED_S, BasicAuthentication, client_of
from web.authentication.password_queue import WAITING_PER_CLIENT_MAX, PasswordQueue

LOW_COST = 4
# For hashes that must still be under way when the test looks: about 0.15 s each.
SLOW_COST = 11
FAILURES_PER_MINUTE = 20
LIMIT_S = 60.0


@dataclass
class Clock:
    """A clock that stands still until it is told."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class KnownUsers:
    """Users as they are in the file."""

    users: dict[str, Account] = field(default_factory=dict)


@dataclass
class Door:
    """All of authentication, as the service puts it together."""

    users: KnownUsers
    queue: PasswordQueue
    basic: BasicAuthentication
    clock: Clock

    async def ask(self, header: bytes | None, client: str = "192.0.2.1") -> Identity:
        return await Authentication(self.basic).authenticate(scope(header, client))

    async def answer(self, header: bytes | None, client: str = "192.0.2.1") -> str:
        try:
            return (await self.ask(header, client)).user
        except (Unauthenticated, Forbidden, TooManyFailures, LogInsBusy) as refused:
            return type(refused).__name__


def scope(header: bytes | None, client: str = "192.0.2.1") -> Scope:
    headers = [(b"host", b"commissaire"), (b"accept", b"*/*")]
    if header is not None:
        headers.append((b"authorization", header))
    return {"type": "http", "headers": headers, "client": (client, 50_000)}


def basic(user: str, password: str, scheme: str = "Basic") -> bytes:
    return f"{scheme} ".encode() + base64.b64encode(f"{user}:{password}".encode())


def account(password: str, role: Role = "admin", cost: int = LOW_COST) -> Account:
    return Account(bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)), role)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    clock = Clock()
    users = KnownUsers({"ada": account("secret"), "bob": account("p:w:d", "viewer")})
    queue = PasswordQueue(FAILURES_PER_MINUTE, threads=1, clock=clock)
    yield Door(users, queue, BasicAuthentication(users, queue, clock), clock)
    queue.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what changes has no event for tests
            await asyncio.sleep(0.001)


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
