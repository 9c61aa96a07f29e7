"""The watcher: hosts that are set up are checked for ever, and only what changed is an event."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from domain.aggregates.host_events import Failed
from projections import hosts
from runners.hosts.outcomes import HostKeyChanged
from runners.scheduling.process_manager import LocalFailure
from tests.runners import stage as stage_of_tests
from tests.runners.stage import (
    FACTS,
    LATER,
    MISSES_MAX,
    NO_SUDO,
    NOW,
    PARALLEL,
    REFUSED,
    Stage,
    until,
)
from tests.support.stores import Store

A, B = "10.0.0.1", "10.0.0.2"
KEY, OTHER = "SHA256:one", "SHA256:two"
INTERVAL_S = 0.03
"""So short that a test can wait for the next check."""


@pytest.fixture
async def stage(sqlite_store: Store) -> AsyncIterator[Stage]:
    """An investigator and a watcher that run."""
    async with Stage(sqlite_store).opened(check_interval_s=INTERVAL_S) as stage:
        yield stage


async def set_up(stage: Stage, address: str = A) -> list[str]:
    """A host that is set up; gives the topics in the log."""
    await stage.register(address)
    await stage.end(address, FACTS)
    await stage.until_status(address, "disassociated")
    return stage.store.topics()


async def test_checks_that_find_nothing_new_are_no_events_but_move_last_check(
    stage: Stage,
) -> None:
    before = await set_up(stage)
    for _ in range(5):
        await stage.end(A, FACTS)
    assert stage.store.topics() == before
    await stage.heartbeats.write()
    with stage.store.engine.snapshot() as tx:
        answer = hosts.host(tx, A)
    assert answer is not None
    assert LATER.encode() in answer.body
    assert NOW.encode() not in answer.body


async def test_a_last_check_of_a_clock_that_was_ahead_does_not_stand_still(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_of_tests, "NOW", "2026-01-02T06:00:00.000000")
    stage = Stage(sqlite_store)
    async with stage.opened(check_interval_s=INTERVAL_S):
        before = await set_up(stage)
        stage.heartbeats.seen(A, "2026-01-02T07:00:00.000000")
        await stage.heartbeats.write()
        for _ in range(3):
            await stage.end(A, FACTS)
        await stage.heartbeats.write()
        with stage.store.engine.snapshot() as tx:
            answer = hosts.host(tx, A)
    assert answer is not None
    assert LATER.encode() in answer.body
    assert stage.store.topics() == [*before, "host.facts_gathered"], "said once"


async def test_facts_that_changed_are_one_event(stage: Stage) -> None:
    before = await set_up(stage)
    grown = replace(FACTS, memory=16_000_000)
    for _ in range(3):
        await stage.end(A, grown)
    await until(lambda: A in stage.look.under_way)
    assert stage.store.topics() == [*before, "host.facts_gathered"]
    facts = stage.host(A).facts
    assert facts is not None
    assert facts.memory == 16_000_000
    assert facts.actor == "runner:watcher"


async def test_a_host_fails_only_after_so_many_misses_in_a_row(stage: Stage) -> None:
    await set_up(stage)
    for _ in range(MISSES_MAX - 1):
        await stage.end(A, REFUSED)
    await stage.end(A, FACTS)  # it was only a moment: counted anew
    for _ in range(MISSES_MAX - 1):
        await stage.end(A, REFUSED)
    await until(lambda: A in stage.look.under_way)
    assert stage.host(A).status == "disassociated"
    await stage.end(A, REFUSED)
    host = await stage.until_status(A, "failed")
    assert host.failure == Failed("unreachable", "refused")


async def test_a_check_that_this_machine_has_nothing_left_for_is_no_miss(stage: Stage) -> None:
    before = await set_up(stage)
    for _ in range(2 * MISSES_MAX):
        await stage.end(A, LocalFailure("Too many open files"))
    await stage.end(A, FACTS)
    assert stage.store.topics() == before
    assert len(stage.defects) == 2 * MISSES_MAX


async def test_a_failed_host_that_answers_again_is_what_it_was_and_is_checked_again(
    stage: Stage,
) -> None:
    await set_up(stage)
    for _ in range(MISSES_MAX):
        await stage.end(A, REFUSED)
    await stage.until_status(A, "failed")
    await stage.end(A, REFUSED)  # the investigator's
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")
    for _ in range(MISSES_MAX):
        await stage.end(A, REFUSED)
    await stage.until_status(A, "failed")
    assert stage.store.topics().count("host.failed") == 2
    assert stage.store.topics().count("host.recovered") == 1


async def test_another_host_key_fails_the_host_at_once(stage: Stage) -> None:
    await stage.register(A)
    await until(lambda: A in stage.look.under_way)
    await stage.look.trust[A]("ssh-ed25519", KEY)
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")
    await stage.end(A, HostKeyChanged(OTHER, "another key"))
    host = await stage.until_status(A, "failed")
    assert (host.pinned, host.refused) == (KEY, OTHER)


async def test_a_host_whose_key_was_forgotten_is_pinned_by_the_next_check(stage: Stage) -> None:
    await set_up(stage)
    await until(lambda: A in stage.look.under_way)
    await stage.look.trust[A]("ssh-ed25519", OTHER)
    assert stage.host(A).pinned == OTHER


async def test_a_host_under_an_operation_is_left_to_it(stage: Stage) -> None:
    await set_up(stage)
    await set_up(stage, B)
    await until(lambda: A in stage.look.under_way)
    stage.occupied.add(A)
    begun = len(stage.look.begun)
    await stage.end(A, REFUSED)  # the check that was under way says nothing any more
    for _ in range(2 * MISSES_MAX):
        await stage.end(B, FACTS)
    assert all(host.name == B for host in stage.look.begun[begun:])
    stage.occupied.clear()
    for _ in range(MISSES_MAX - 1):
        await stage.end(A, REFUSED)
    await until(lambda: A in stage.look.under_way)
    assert stage.host(A).status == "disassociated"


async def test_a_removed_host_is_checked_no_more(stage: Stage) -> None:
    await set_up(stage)
    await until(lambda: A in stage.look.under_way)
    await stage.remove(A)
    await until(lambda: stage.watcher.watched == 0)
    assert stage.look.under_way == {}


async def test_what_a_process_saw_before_it_was_frozen_is_passed_over(stage: Stage) -> None:
    async with stage.opened(check_interval_s=3600):
        await set_up(stage)
        for at in (LATER, "2026-01-02T01:00:00.000000"):
            stage.heartbeats.seen(A, at)
            await stage.heartbeats.write()
        with stage.store.engine.snapshot() as tx:
            assert tx.execute("SELECT last_check FROM heartbeats").fetchall() == [(LATER,)]


async def test_a_heartbeat_of_a_host_that_is_gone_is_dropped(stage: Stage) -> None:
    stage.heartbeats.seen(B, LATER)
    await stage.heartbeats.write()
    with stage.store.engine.snapshot() as tx:
        assert tx.execute("SELECT * FROM heartbeats").fetchall() == []


async def test_a_check_that_breaks_off_by_a_defect_is_a_miss_and_the_others_go_on(
    stage: Stage,
) -> None:
    await set_up(stage)
    await set_up(stage, B)
    for _ in range(MISSES_MAX):
        await stage.end(A, ValueError("a defect with a secret in it"))
    host = await stage.until_status(A, "failed")
    assert host.failure is not None
    assert "secret" not in host.failure.reason
    assert len(stage.defects) == MISSES_MAX
    await stage.end(B, FACTS)


async def test_never_more_checks_at_once_than_allowed(stage: Stage) -> None:
    for number in range(2 * PARALLEL):
        await set_up(stage, f"10.0.1.{number}")
    await until(lambda: len(stage.look.under_way) == PARALLEL)
    stage.look.most = 0
    for address in list(stage.look.under_way):
        await stage.end(address, FACTS)
    assert stage.look.most <= PARALLEL


async def test_a_new_start_watches_who_is_set_up_and_leaves_the_others(
    sqlite_store: Store,
) -> None:
    stage = Stage(sqlite_store)
    async with stage.opened():
        await set_up(stage)
        await stage.register(B)
        await stage.end(B, NO_SUDO)
        await stage.until_status(B, "failed")
    async with stage.opened(check_interval_s=INTERVAL_S, pauses_s=3600.0):
        await stage.end(A, FACTS)
        assert stage.watcher.watched == 1


async def test_stopping_lets_a_check_come_to_its_end_and_begins_none(stage: Stage) -> None:
    await set_up(stage)
    await until(lambda: A in stage.look.under_way)
    stopping = asyncio.create_task(stage.watcher.stop(60.0))
    await stage.end(A, replace(FACTS, cpus=8))
    await stopping
    facts = stage.host(A).facts
    assert facts is not None
    assert facts.cpus == 8
    assert stage.look.under_way == {}
