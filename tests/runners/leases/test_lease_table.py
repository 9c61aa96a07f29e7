"""Leases in a real PostgreSQL: one holder at a time, by its clock and under its locks."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from domain.commands import fleet_commands
from domain.log.engines.postgres import PostgresEngine
from domain.refusal import Refusal
from runners.leases.lease_table import LeaseTable
from runners.leases.leases import Leases
from runners.leases.ownership import EVERYTHING, SHARDS
from runners.os_support.process_identity import is_dead, process_identity
from tests.runners.stage import until
from tests.support.stores import ACT, WAIT_TIMEOUT_S, Store

LONG_S = 3600.0
SHORT_S = 0.5
ALL = range(SHARDS)
WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted"
TIME_IS_UP = "SELECT until <= clock_timestamp() FROM lease_members WHERE name = 'a'"


@pytest.fixture
def table(postgres_store: Store) -> Iterator[LeaseTable]:
    """Leases that last long."""
    with opened(postgres_store, LONG_S) as table:
        table.create()
        yield table


@contextmanager
def opened(store: Store, lease_s: float) -> Iterator[LeaseTable]:
    """The table as a process sees it that wants such leases."""
    engine = store.another_engine()
    assert isinstance(engine, PostgresEngine)
    table = LeaseTable(engine, lease_s)
    try:
        yield table
    finally:
        table.close()


def run_out(store: Store, name: str) -> None:
    """Let a member's time be up."""
    with store.engine.append(WAIT_TIMEOUT_S) as appending:
        sql = "UPDATE lease_members SET until = clock_timestamp() WHERE name = ?"
        appending.tx.execute(sql, (name,))
        appending.commit()


async def test_a_shard_is_claimed_by_one_and_each_claim_raises_its_epoch(table: LeaseTable) -> None:
    await table.join("a", "")
    await table.join("b", "")
    assert [(t.epoch, t.before) for t in await table.claim("a", [0, 1], [])] == [(1, "")] * 2
    assert [t.shard for t in await table.claim("b", [0, 1, 2], [])] == [2]
    await table.release("a", [1])
    await table.release("b", [0])  # which is not its own
    assert [(t.shard, t.epoch) for t in await table.claim("b", ALL[:2], [])] == [(1, 2)]
    snapshot = await table.look("a")
    assert snapshot.renewed
    assert {m.name for m in snapshot.members if m.alive} == {"a", "b"}
    assert {c.shard: c.member for c in snapshot.claims if c.member} == {0: "a", 1: "b", 2: "b"}
    await table.leave("b")
    assert {(t.epoch, t.before) for t in await table.claim("a", [1, 2], [])} == {(3, ""), (2, "")}


async def test_a_member_whose_time_is_up_cannot_renew_and_is_followed_by_others(
    table: LeaseTable, postgres_store: Store
) -> None:
    await table.join("a", "")
    await table.join("b", "")
    await table.claim("a", ALL, [])
    run_out(postgres_store, "a")
    assert not (await table.look("a")).renewed
    assert await table.claim("a", [0], []) == [], "who is no member claims nothing"
    assert {t.before for t in await table.claim("b", ALL, [])} == {"a"}


async def test_a_member_that_died_is_not_waited_for(table: LeaseTable) -> None:
    await table.join("a", "")
    await table.join("b", "")
    await table.claim("a", ALL, [])
    assert len(await table.claim("b", ALL, ["a"])) == SHARDS


async def test_what_is_decided_after_a_takeover_is_refused_and_nothing_of_it_stored(
    table: LeaseTable, postgres_store: Store
) -> None:
    lines: list[str] = []
    leases = Leases(table, LONG_S, log=lambda event, *_, **__: lines.append(event))
    await leases.start()
    create = leases.fenced(
        "web", lambda unit: fleet_commands.create_cluster(unit, "web", "default", "")
    )
    with postgres_store.writer() as writer:
        snapshot = await table.look("")
        (me,) = {claim.member for claim in snapshot.claims}
        run_out(postgres_store, me)
        before = postgres_store.topics()
        with pytest.raises(Refusal, match="Another process"):  # though nobody took it over yet
            await writer.perform(ACT, create)
        await table.join("other", "")
        await table.claim("other", ALL, [])
        with pytest.raises(Refusal, match="Another process"):
            await writer.perform(ACT, create)
        assert postgres_store.topics() == before
        await leases.start()  # it notices
        assert leases.held == 0
        await leases.start()
        await table.leave("other")
        await leases.start()
        again = leases.fenced(
            "web", lambda unit: fleet_commands.create_cluster(unit, "web", "default", "")
        )
        await writer.perform(ACT, again)
        assert len(postgres_store.topics()) > len(before)


async def test_a_takeover_waits_for_a_renewal_that_is_being_committed(
    table: LeaseTable, postgres_store: Store
) -> None:
    await table.join("b", "")
    with opened(postgres_store, SHORT_S) as short:
        await short.join("a", "")
    await table.claim("a", ALL, [])
    engine = table._engine
    with engine.beside(WAIT_TIMEOUT_S) as renewal:
        assert table._look(renewal.tx, "a").renewed
        with postgres_store.engine.snapshot() as tx:  # which sees nothing of the renewal
            await until(lambda: tx.execute(TIME_IS_UP).fetchone()[0])
            taking = asyncio.create_task(table.claim("b", ALL, []))
            await until(lambda: tx.execute(WAITING).fetchone() is not None)
        renewal.commit()
    assert await taking == []
    assert (await table.look("a")).renewed


async def test_a_renewal_is_not_held_up_by_the_append_lock(
    table: LeaseTable, postgres_store: Store
) -> None:
    await table.join("a", "")
    with postgres_store.engine.append(WAIT_TIMEOUT_S):
        assert (await table.look("a")).renewed


async def test_two_services_share_and_one_that_leaves_hands_over(
    table: LeaseTable, postgres_store: Store
) -> None:
    with opened(postgres_store, LONG_S) as another:
        first = Leases(table, LONG_S, log=lambda *_, **__: None)
        second = Leases(another, LONG_S, log=lambda *_, **__: None)
        await first.start()
        await second.start()
        running = [asyncio.create_task(leases.run()) for leases in (first, second)]
        await until(lambda: (first.held, second.held) == (SHARDS // 2, SHARDS // 2))
        assert all(first.holds(key) != second.holds(key) for key in map(str, range(200)))
        running[0].cancel()
        await until(lambda: second.held == len(EVERYTHING.shards))
        running[1].cancel()
        await asyncio.wait(running)


def test_a_process_that_is_there_is_not_dead_and_one_that_ended_is() -> None:
    assert not is_dead(process_identity())
    code = (
        "from runners.os_support.process_identity import process_identity\n"
        "print(process_identity(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as child:
        assert child.stdout is not None
        seen = child.stdout.readline().strip()
        assert not is_dead(seen)
        child.kill()
        child.wait()
        assert is_dead(seen)
    where, pid, started = process_identity().split(" ")
    assert is_dead(f"{where} {pid} {int(started) + 1}"), "its pid is another process's"
    assert not is_dead(f"another-boot/pid:[1] {2**30} 1"), "nobody can tell from here"
    assert not is_dead("")
