"""Hundreds of stories, each by its seed: the promises of operations hold in all of them."""

import asyncio
import random

import pytest

from domain.event import Act
from domain.log.follower import Follower
from projections.beside_the_log import outputs
from runners.operations.host_driver import HostDriver
from runners.operations.operation_driver import PURGE_EVERY_S, OperationDriver
from tests.simulation.clock import VirtualLoop
from tests.simulation.judging.judge import judge
from tests.simulation.log import PlayedLog, PlayedUnit
from tests.simulation.nodes import SOMEBODY
from tests.simulation.stage import NAME, Told
from tests.simulation.story import told
from tests.simulation.world import CALM, World

QUICK_SEEDS = range(300)
PROOF_SEEDS = range(300, 5300)
SHARE = 50
"""Seeds of one test: each failure names its own."""


def words(story: Told) -> list[str]:
    """What happened, and when."""
    return [f"{entry.event.at} {entry.event!r}" for entry in story.log.entries]


@pytest.mark.parametrize("first", QUICK_SEEDS[::SHARE])
def test_the_promises_of_operations_hold_in_every_story(first: int) -> None:
    for seed in range(first, first + SHARE):
        judge(told(seed))


@pytest.mark.proof
@pytest.mark.parametrize("first", PROOF_SEEDS[::SHARE])
def test_the_promises_of_operations_hold_in_thousands_of_stories(first: int) -> None:
    for seed in range(first, first + SHARE):
        judge(told(seed))


@pytest.mark.parametrize("seed", [4352, 4957])
def test_a_reboot_that_has_not_begun_within_its_limit_is_not_begun_afterwards(seed: int) -> None:
    judge(told(seed))


@pytest.mark.parametrize("seed", [1, 7, 23])
def test_a_seed_tells_the_same_story_again(seed: int) -> None:
    assert words(told(seed)) == words(told(seed))


def test_the_stories_are_about_everything() -> None:
    stories = [told(seed) for seed in range(60)]
    ends = {story.operation.state for story in stories}
    outcomes = {host.outcome for story in stories for host in story.operation.hosts.values()}
    assert {"finished", "partial", "failed", "cancelled"} <= ends
    assert {"done", "failed", "unknown", "waiting"} <= outcomes
    assert sum(story.crashes for story in stories) > 20
    moved = [[entry.event.TOPIC for entry in story.log.entries] for story in stories]
    assert any(topics.count("window.defined") > 1 for topics in moved)
    drained = [story for story in stories if story.nodes and story.operation.request.options.drain]
    spared = {node.cordoned for story in drained for node in story.nodes.values()}
    assert spared == {"", NAME, SOMEBODY}
    assert any(
        host.outcome == "done" and host.container_manager
        for story in drained
        for host in story.operation.hosts.values()
    )


def test_output_is_kept_for_its_time_and_then_deleted() -> None:
    name, address, kept_s = "1", "10.0.0.1", 24 * 3600.0

    async def no_crash() -> None:
        pass

    async def keep_and_wait() -> list[bytes]:
        log = PlayedLog(PlayedUnit(), no_crash)
        at = loop.now()
        act = Act("runner:rolling", "test", at)
        log.do(
            act,
            lambda unit: unit.write_beside(lambda tx: outputs.add(tx, name, address, 0, b"x", at)),
        )
        steps = HostDriver(
            log,
            log,
            World(random.Random(0), CALM, no_crash),  # type: ignore[arg-type]
            now=loop.now,
            on_defect=lambda _, error: None,
        )
        rolling = OperationDriver(log, log, steps, parallel=1, kept_s=kept_s, now=loop.now)
        running = asyncio.create_task(rolling.run(Follower(0, log.after)))
        seen = []
        for wait_s in (kept_s - 60.0, PURGE_EVERY_S + 120.0):
            await asyncio.sleep(wait_s)
            seen.append(await log.output(name, address))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return seen

    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        assert loop.run_until_complete(keep_and_wait()) == [b"x", b""]
    finally:
        asyncio.set_event_loop(None)
        loop.close()
