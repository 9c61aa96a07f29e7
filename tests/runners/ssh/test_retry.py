"""Trying again what may pass."""

import random

import pytest

from runners.ssh.failure import SshFailure
from runners.ssh.retry import Retries, retrying


class World:
    """A clock that only pauses move, and an attempt that fails as often as it is told."""

    def __init__(self, failures: int, passing: bool = True, lasts_s: float = 0.0) -> None:
        self.failures = failures
        self.passing = passing
        self.lasts_s = lasts_s
        self.attempts = 0
        self.pauses: list[float] = []
        self.now = 0.0

    async def attempt(self) -> str:
        self.attempts += 1
        self.now += self.lasts_s
        if self.attempts <= self.failures:
            raise SshFailure("refused", f"failure {self.attempts}", self.passing)
        return "done"

    async def sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        self.now += pause_s

    async def run(self, retries: Retries, seed: int | None = None) -> str:
        uniform = (lambda a, b: b) if seed is None else random.Random(seed).uniform
        return await retrying(
            self.attempt, retries, uniform=uniform, sleep=self.sleep, clock=lambda: self.now
        )


async def test_what_passes_is_tried_until_it_works() -> None:
    world = World(failures=3)
    assert await world.run(Retries(attempts_max=4)) == "done"
    assert world.attempts == 4


async def test_what_will_not_pass_is_tried_once() -> None:
    world = World(failures=3, passing=False)
    with pytest.raises(SshFailure, match="failure 1"):
        await world.run(Retries())
    assert (world.attempts, world.pauses) == (1, [])


async def test_attempts_are_bounded_and_the_last_failure_is_told() -> None:
    world = World(failures=99)
    with pytest.raises(SshFailure, match="failure 4"):
        await world.run(Retries(attempts_max=4))
    assert world.attempts == 4


async def test_pauses_double_up_to_a_limit() -> None:
    world = World(failures=5)
    await world.run(Retries(6, pause_first_s=1, pause_max_s=5, total_max_s=100))
    assert world.pauses == [1, 2, 4, 5, 5]


@pytest.mark.parametrize("seed", range(3))
async def test_jitter_takes_the_whole_pause(seed: int) -> None:
    world = World(failures=50)
    await world.run(Retries(51, pause_first_s=1, pause_max_s=1, total_max_s=1000), seed)
    assert min(world.pauses) < 0.2
    assert max(world.pauses) > 0.8


async def test_no_attempt_starts_after_the_time_for_all() -> None:
    world = World(failures=99, lasts_s=10)
    with pytest.raises(SshFailure, match="failure 3"):
        await world.run(Retries(99, pause_first_s=1, pause_max_s=1, total_max_s=30))
    assert world.now <= 35
