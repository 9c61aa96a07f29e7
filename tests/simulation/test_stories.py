"""Hundreds of stories, each by its seed: the promises of operations hold in all of them."""

import pytest

from tests.simulation.judge import judge
from tests.simulation.story import Told, told

QUICK_SEEDS = range(300)
PROOF_SEEDS = range(300, 5000)
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
