"""Which connections are kept between checks, and when each is closed."""

import asyncio
from collections.abc import Callable

import pytest

from runners.ssh.command import Output
from runners.ssh.kept_connections import KeptConnections

A, B = "10.0.0.1", "10.0.0.2"
LIMIT_S = 60.0
LOGIN = "the key"


class Played:
    """A session of which only matters whether it is open."""

    def __init__(self) -> None:
        self.is_at_rest = True
        self.lost: Callable[[], None] = lambda: None
        self.over = asyncio.Event()

    def hang_up(self) -> None:
        self.is_at_rest = False
        self.over.set()

    def when_lost(self, tell: Callable[[], None]) -> None:
        self.lost = tell

    async def run(self, script: str) -> Output:
        raise NotImplementedError


def kept_of(kept: KeptConnections, address: str, login: str = LOGIN) -> Played:
    """The connection of a host that was just logged in to."""
    session = Played()
    with kept.visit(address, login) as visit:
        if not kept.keep(visit, session):
            session.hang_up()
    return session


def is_used(kept: KeptConnections, address: str, login: str = LOGIN) -> bool:
    """Whether a check has a kept connection; it ends well."""
    with kept.visit(address, login) as visit:
        session = kept.take(visit)
        if session is None:
            return False
        kept.give_back(visit, session)
    return True


async def test_a_connection_is_used_again_and_again() -> None:
    kept = KeptConnections(1)
    kept_of(kept, A)
    assert [is_used(kept, A) for _ in range(3)] == [True] * 3
    assert (len(kept), kept.opened, kept.reused, kept.broken) == (1, 1, 3, 0)


async def test_none_is_kept_where_the_setting_is_0() -> None:
    kept = KeptConnections(0)
    assert kept_of(kept, A).over.is_set()
    assert not is_used(kept, A)


async def test_hosts_that_come_round_find_theirs_also_where_there_are_more_than_places() -> None:
    kept = KeptConnections(10)
    addresses, found = [f"10.0.0.{number}" for number in range(20)], 0
    for _ in range(3):
        found = 0
        for address in addresses:
            if is_used(kept, address):
                found += 1
            else:
                kept_of(kept, address)
            assert len(kept) <= 10
    assert found == 10


async def test_a_connection_in_use_has_its_place() -> None:
    kept = KeptConnections(1)
    kept_of(kept, A)
    with kept.visit(A, LOGIN) as visit:
        session = kept.take(visit)
        assert session is not None
        assert kept_of(kept, B).over.is_set()
        kept.give_back(visit, session)
    assert is_used(kept, A)


async def test_an_hour_after_its_log_in_it_is_closed_also_where_nobody_uses_it() -> None:
    kept = KeptConnections(1, kept_s=0.05)
    session = kept_of(kept, A)
    async with asyncio.timeout(LIMIT_S):
        await session.over.wait()
    assert len(kept) == 0


async def test_an_hour_after_its_log_in_it_is_not_used_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, passed_s = asyncio.get_running_loop(), 0.0
    begun = loop.time()
    monkeypatch.setattr("runners.ssh.kept_connections._now", lambda: begun + passed_s)
    kept = KeptConnections(1)
    session = kept_of(kept, A)
    passed_s = 3599.0
    assert is_used(kept, A)
    passed_s = 3601.0
    assert not is_used(kept, A), "however lately it was used"
    assert session.over.is_set()


async def test_another_login_does_not_use_it_and_closes_it() -> None:
    kept = KeptConnections(1)
    session = kept_of(kept, A)
    assert not is_used(kept, A, "another key")
    assert session.over.is_set()


async def test_a_host_that_is_forgotten_is_closed_at_once() -> None:
    kept = KeptConnections(3)
    sessions = [kept_of(kept, A), kept_of(kept, B)]
    kept.forget(A)
    assert [session.over.is_set() for session in sessions] == [True, False]
    kept.forget_those({A, B})
    assert sessions[1].over.is_set()
    assert len(kept) == 0


@pytest.mark.parametrize("all_of_them", [False, True])
async def test_a_host_that_is_forgotten_while_it_is_checked_is_closed_after_it(
    all_of_them: bool,
) -> None:
    kept = KeptConnections(2)
    first = kept_of(kept, A)
    new = Played()
    with kept.visit(A, LOGIN) as visit, kept.visit(B, LOGIN) as other:
        session = kept.take(visit)
        assert session is first
        if all_of_them:
            kept.forget_all()
        else:
            kept.forget_those({A, B})
        kept.give_back(visit, session)
        assert not kept.keep(other, new)
    assert first.over.is_set()
    assert len(kept) == 0


async def test_a_connection_that_the_host_closes_leaves_its_place() -> None:
    kept = KeptConnections(1)
    session = kept_of(kept, A)
    session.lost()
    assert len(kept) == 0
    kept_of(kept, B)
    session.lost()
    assert is_used(kept, B)


async def test_what_is_not_at_rest_is_not_kept() -> None:
    kept = KeptConnections(1)
    session = Played()
    session.is_at_rest = False
    with kept.visit(A, LOGIN) as visit:
        assert not kept.keep(visit, session)
