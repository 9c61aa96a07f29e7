"""The investigator: whatever happens during a look, its host ends as it should."""

import asyncio

import pytest

from domain.aggregates.host_events import Failed
from runners.hosts.outcomes import HostKeyChanged, HostUnusable
from runners.leases.ownership import NoLongerOurs
from runners.scheduling.process_manager import LocalFailure
from tests.runners.stage import ATTEMPTS_MAX, FACTS, NO_SUDO, PARALLEL, REFUSED, Stage, until
from tests.support.stores import Store

A, B = "10.0.0.1", "10.0.0.2"
KEY, OTHER = "SHA256:one", "SHA256:two"


async def test_a_host_that_answers_is_set_up_and_nothing_of_it_stays_in_memory(
    stage: Stage,
) -> None:
    await stage.register(A)
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")
    await until(lambda: stage.investigator.remembered == 0)


async def test_what_may_pass_is_tried_again_before_the_host_counts_as_failed(stage: Stage) -> None:
    await stage.register(A)
    for _ in range(ATTEMPTS_MAX - 1):
        await stage.end(A, REFUSED)
        assert stage.host(A).status == "investigating"
    await stage.end(A, REFUSED)
    host = await stage.until_status(A, "failed")
    assert host.failure == Failed("unreachable", "refused")
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")


async def test_what_will_not_pass_fails_at_once(stage: Stage) -> None:
    await stage.register(A)
    await stage.end(A, NO_SUDO)
    await stage.until_status(A, "failed")
    assert len(stage.look.begun) == 1


async def test_the_same_failure_again_is_no_event(stage: Stage) -> None:
    await stage.register(A)
    for _ in range(5):
        await stage.end(A, NO_SUDO)
    await until(lambda: A in stage.look.under_way)
    assert stage.store.topics() == ["host.registered", "host.failed"]


async def test_facts_of_a_first_incarnation_never_land_in_the_second(stage: Stage) -> None:
    await stage.register(A, key=b"first", port=1)
    await until(lambda: A in stage.look.under_way)
    stage.hears.clear()
    await stage.remove(A)
    await stage.register(A, key=b"second", port=2)
    await stage.end(A, FACTS)
    stage.hears.set()
    await until(lambda: A in stage.look.under_way)
    host = stage.host(A)
    assert (host.status, host.facts, host.registration.ssh_port) == ("investigating", None, 2)
    assert [seen.registration.ssh_port for seen in stage.look.begun] == [1, 2]
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")


@pytest.mark.parametrize(
    "outcome",
    [
        REFUSED,
        NO_SUDO,
        HostKeyChanged(OTHER, "another key"),
        NoLongerOurs(),
        ValueError("a defect"),
    ],
    ids=lambda outcome: type(outcome).__name__ + str(outcome)[:8],
)
async def test_however_a_look_at_the_first_incarnation_ends_the_second_is_looked_at_at_once(
    outcome: Exception, sqlite_store: Store
) -> None:
    stage = Stage(sqlite_store)
    async with stage.opened(pauses_s=3600.0):
        await stage.register(A)
        await until(lambda: A in stage.look.under_way)
        stage.hears.clear()
        await stage.remove(A)
        await stage.register(A)
        await stage.end(A, outcome)
        stage.hears.set()
        await stage.end(A, FACTS)
        await stage.until_status(A, "disassociated")
        assert "host.failed" not in sqlite_store.topics()


async def test_a_key_of_a_first_incarnation_is_not_pinned_for_the_second(stage: Stage) -> None:
    await stage.register(A)
    await until(lambda: A in stage.look.under_way)
    stale = stage.look.trust[A]
    await stage.remove(A)
    await stage.register(A)
    with pytest.raises(NoLongerOurs):
        await stale("ssh-ed25519", KEY)
    assert stage.host(A).pinned == ""


async def test_a_host_that_another_process_pinned_meanwhile_is_looked_at_again(
    stage: Stage,
) -> None:
    await stage.register(A)
    await until(lambda: A in stage.look.under_way)
    await stage.do(lambda unit: unit.host(A).pin_key("ssh-ed25519", OTHER))
    with pytest.raises(NoLongerOurs):
        await stage.look.trust[A]("ssh-ed25519", KEY)
    await stage.end(A, NoLongerOurs())
    await stage.end(A, FACTS)
    assert stage.look.begun[-1].pinned == OTHER
    await stage.until_status(A, "disassociated")


async def test_another_host_key_fails_the_host_until_the_pinned_one_is_shown_again(
    stage: Stage,
) -> None:
    await stage.register(A)
    await until(lambda: A in stage.look.under_way)
    await stage.look.trust[A]("ssh-ed25519", KEY)
    await stage.end(A, HostKeyChanged(OTHER, "another key"))
    host = await stage.until_status(A, "failed")
    assert (host.pinned, host.refused) == (KEY, OTHER)
    await stage.end(A, HostKeyChanged(OTHER, "another key"))
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")
    assert stage.store.topics().count("host.key_refused") == 1


async def test_an_approved_key_is_tried_at_once_also_while_a_look_is_under_way(
    sqlite_store: Store,
) -> None:
    stage = Stage(sqlite_store)
    async with stage.opened(pauses_s=3600.0):
        await stage.register(A)
        await until(lambda: A in stage.look.under_way)
        await stage.look.trust[A]("ssh-ed25519", KEY)
        await stage.do(lambda unit: unit.host(A).approve_key(OTHER))
        await stage.end(A, REFUSED)
        await stage.end(A, FACTS)
        await stage.until_status(A, "disassociated")


async def test_a_host_whose_look_breaks_off_by_a_defect_fails_and_the_others_go_on(
    stage: Stage,
) -> None:
    await stage.register(A)
    await stage.register(B)
    await stage.end(A, ValueError("a defect with a secret in it"))
    await stage.end(B, FACTS)
    await stage.until_status(B, "disassociated")
    host = await stage.until_status(A, "failed")
    assert host.failure is not None
    assert "ValueError" in host.failure.reason
    assert "secret" not in host.failure.reason
    assert len(stage.defects) == 1


async def test_a_look_that_this_machine_has_nothing_left_for_is_no_failure_of_the_host(
    stage: Stage,
) -> None:
    await stage.register(A)
    await stage.end(A, LocalFailure("Too many open files"))
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")
    assert "host.failed" not in stage.store.topics()
    assert [str(told) for told in stage.defects] == ["Too many open files"]


async def test_dead_hosts_that_take_long_do_not_hold_up_a_new_one(stage: Stage) -> None:
    dead = [f"10.0.1.{number}" for number in range(50)]
    for address in dead:
        await stage.register(address)
    for address in dead:
        await stage.end(address, NO_SUDO)
    await until(lambda: len(stage.look.under_way) >= PARALLEL - 2)  # all of them are due again
    await stage.register(A)
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")
    assert stage.look.most <= PARALLEL


async def test_a_look_at_a_host_that_is_removed_ends_at_once_and_makes_room_for_the_next(
    stage: Stage,
) -> None:
    for number in range(PARALLEL):
        await stage.register(f"10.0.1.{number}")
    await until(lambda: len(stage.look.under_way) == PARALLEL)
    await stage.register(A, port=1)
    await stage.remove("10.0.1.0")
    await until(lambda: A in stage.look.under_way)
    assert "10.0.1.0" not in stage.look.under_way
    await stage.remove(A)
    await stage.register(A, port=2)
    await until(lambda: A in stage.look.under_way and len(stage.look.begun) == PARALLEL + 2)
    await stage.end(A, FACTS)
    assert (await stage.until_status(A, "disassociated")).registration.ssh_port == 2


async def test_a_removed_host_is_forgotten(stage: Stage) -> None:
    await stage.register(A)
    await stage.end(A, NO_SUDO)
    await stage.until_status(A, "failed")
    await stage.remove(A)
    await until(lambda: stage.investigator.remembered == 0)
    assert stage.host(A).status == ""


async def test_what_another_process_registered_is_found_without_being_told(stage: Stage) -> None:
    stage.pushes = False
    await stage.register(A)
    await stage.end(A, FACTS)
    await stage.until_status(A, "disassociated")


async def test_a_new_start_goes_on_with_what_was_left(sqlite_store: Store) -> None:
    stage = Stage(sqlite_store)
    async with stage.opened():
        for address in (A, B):
            await stage.register(address)
        await stage.end(B, NO_SUDO)
        await stage.until_status(B, "failed")
        await until(lambda: A in stage.look.under_way)
    assert stage.look.under_way == {}
    async with stage.opened():
        for address in (A, B):
            await stage.end(address, FACTS)
            await stage.until_status(address, "disassociated")


async def test_stopping_lets_a_look_come_to_its_end_and_begins_none(stage: Stage) -> None:
    for number in range(PARALLEL + 1):
        await stage.register(f"10.0.0.{number}")
    await until(lambda: len(stage.look.under_way) == PARALLEL)
    stopping = asyncio.create_task(stage.investigator.stop(60.0))
    for address in list(stage.look.under_way):
        await stage.end(address, FACTS)
    await stopping
    assert stage.look.under_way == {}
    assert len(stage.look.begun) == PARALLEL
    assert sum(topic == "host.facts_gathered" for topic in stage.store.topics()) == PARALLEL


async def test_stopping_gives_up_on_a_look_that_hangs(stage: Stage) -> None:
    await stage.register(A)
    await until(lambda: A in stage.look.under_way)
    await stage.investigator.stop(0.01)
    stage.runner.cancel()
    await asyncio.wait((stage.runner,))
    assert stage.look.under_way == {}
    assert stage.host(A).status == "investigating"


def test_a_failure_that_passes_is_not_the_default() -> None:
    assert not HostUnusable("sudo", "asks for a password").passing
