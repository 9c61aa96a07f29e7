"""Whoever runs beside the service outlives what its surroundings do to it."""

import asyncio
import errno
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

import pytest

from domain.log.engine import OperationalError
from domain.log.follower import Follower
from domain.refusal import unavailable
from runners.observability import held_up
from runners.observability.held_up import HeldUp
from runners.observability.observer import Observer
from runners.service import supervisor
from runners.service.supervisor import Supervisor

if TYPE_CHECKING:
    from runners.observability.database_probe import DatabaseProbe

LIMIT_S = 60.0
SURROUNDINGS = (
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENOSPC, "No space left on device"),
    MemoryError(),
    OperationalError("the database is away"),
    unavailable("Try again."),
)


def nothing_to_follow() -> Follower:
    """What is run here reads no log."""
    raise NotImplementedError


class Watched:
    """A supervisor, and the lines that it wrote."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.observer = Observer(cast("DatabaseProbe", None))  # nobody is behind anything
        self.supervisor = Supervisor(stack, self.observer, nothing_to_follow, self._write)

    def _write(self, event: str, **told: Any) -> None:
        self.lines.append((event, told))


async def test_what_its_surroundings_do_to_a_runner_is_said_and_it_runs_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "AGAIN_AFTER_S", 0.0)
    to_come, well = list(SURROUNDINGS), asyncio.Event()

    async def run() -> None:
        if to_come:
            raise to_come.pop(0)
        well.set()
        await asyncio.Event().wait()

    async with AsyncExitStack() as stack:
        watched = Watched(stack)
        watched.supervisor.run("mark", run)
        async with asyncio.timeout(LIMIT_S):
            await well.wait()
        (task,) = watched.supervisor.tasks
        assert not task.done()
        fault = await watched.observer.checks["mark"]()
        assert fault == ("runner.held_up", "The runner mark was held up: Try again.", True)
        monkeypatch.setattr(held_up, "HELD_UP_FOR_S", 0.0)
        assert await watched.observer.checks["mark"]() is None
    told = [(event, each["runner"], each["reason"]) for event, each in watched.lines]
    assert told == [("runner.held_up", "mark", str(each) or repr(each)) for each in SURROUNDINGS]


def test_the_same_reason_is_said_again_after_a_while_or_when_it_comes_anew() -> None:
    times = [1000.0, 1005.0, 1060.0, 1110.0, *range(1115, 1600, 5), 1600.0, 1605.0, 1700.0, 1705.0]
    each = HeldUp("mark", iter(times).__next__)
    said = [time for time in times[:-1] if each.note("The disk is full")]
    assert said == [1000.0, 1600.0, 1700.0]
    assert each.note("Too many open files")


async def test_a_defect_ends_it_and_what_is_done_is_done() -> None:
    async def broken() -> None:
        raise ValueError("a defect")

    async def done() -> None:
        pass

    async with AsyncExitStack() as stack:
        watched = Watched(stack)
        watched.supervisor.run("broken", broken)
        watched.supervisor.run("done", done)
        one, other = watched.supervisor.tasks
        async with asyncio.timeout(LIMIT_S):
            await asyncio.wait((one, other))
        assert isinstance(one.exception(), ValueError)
        assert other.exception() is None
        assert await watched.observer.checks["broken"]() is not None
    assert watched.lines == []
