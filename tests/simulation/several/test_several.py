"""Stories with several processes: the promises of operations hold whatever befalls them."""

import pytest

from tests.simulation.judging.judge import judge
from tests.simulation.several.story import SeveralStory, told_of_several
from tests.simulation.test_stories import words

QUICK_SEEDS = range(100)
PROOF_SEEDS = range(100, 3000)
SHARE = 50


@pytest.mark.parametrize("first", QUICK_SEEDS[::SHARE])
def test_the_promises_hold_whatever_befalls_the_processes(first: int) -> None:
    for seed in range(first, first + SHARE):
        judge(told_of_several(seed))


@pytest.mark.proof
@pytest.mark.parametrize("first", PROOF_SEEDS[::SHARE])
def test_the_promises_hold_whatever_befalls_the_processes_in_thousands_of_stories(
    first: int,
) -> None:
    for seed in range(first, first + SHARE):
        judge(told_of_several(seed))


@pytest.mark.parametrize("seed", [1, 7])
def test_a_seed_tells_the_same_story_of_several_again(seed: int) -> None:
    assert words(told_of_several(seed)) == words(told_of_several(seed))


def test_the_stories_are_about_processes_that_die_freeze_and_are_cut_off() -> None:
    stories = [SeveralStory(seed) for seed in range(20)]
    ends = {story.tell_of_several().operation.state for story in stories}
    assert {"finished", "failed"} <= ends
    assert sum(story.crashes for story in stories) > 10
    assert sum(story.freezes for story in stories) > 20
    assert sum(story.cuts for story in stories) > 10
