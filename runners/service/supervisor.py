"""The process managers of one process: started, watched, and brought to an end together."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Protocol

from domain.log.engine import PersistenceError
from domain.log.follower import Follower
from domain.refusal import Refusal
from runners.observability.held_up import HeldUp
from runners.observability.observer import Observer

STOP_TIMEOUT_S = 10.0
"""How long looks that are under way may take to come to an end when the service stops."""


PASSING = (OSError, MemoryError, PersistenceError, Refusal)
"""What says nothing of whoever runs: too many files are open, the disk is full, the database away.
Any other error is a defect, and ends the process."""
AGAIN_AFTER_S = 5.0

Running = Callable[[], Coroutine[None, None, None]]


class Manager(Protocol):
    """A process manager."""

    async def run(self, follower: Follower) -> None:
        """Follow the log, and work, until cancelled."""
        ...

    async def stop(self, timeout_s: float) -> None:
        """Begin nothing, and let what is under way come to its end."""
        ...


class Supervisor:
    """Whoever is added runs until the stack is closed. `follow()` makes a reader of the log.

    One that cannot read on ends, is told of by `/readyz`, and the process stays: `when_stopped` is
    called, so that other processes get what this one would have worked on.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        observer: Observer,
        follow: Callable[[], Follower],
        log: Callable[..., None],
    ) -> None:
        self._stack = stack
        self._observer = observer
        self._follow = follow
        self._managers: list[Manager] = []
        self._log = log
        self.when_stopped: Callable[[], None] = lambda: None
        self.tasks: list[asyncio.Task[None]] = []

    def add(self, name: str, manager: Manager, follower: Follower | None = None) -> None:
        """Start a process manager, with a reader of the log of its own kind or the usual one."""
        follower = follower or self._follow()
        self._managers.append(manager)
        running = self._run(name, manager, follower)
        self._observer.watch_runner(name, self._start(name, running), follower)

    def run(self, name: str, running: Running) -> None:
        """Start what needs no log; again after a pause where its surroundings have failed it."""
        held_up = HeldUp(name)
        self._observer.watch_runner(name, self._start(name, self._outlive(name, running, held_up)))
        self._observer.checks[name] = held_up.check(self._observer.checks[name])

    async def shut_down(self, timeout_s: float) -> None:
        """Let what is under way come to an end, side by side."""
        async with asyncio.TaskGroup() as group:
            for manager in self._managers:
                group.create_task(manager.stop(min(timeout_s, STOP_TIMEOUT_S)))

    async def _outlive(self, name: str, running: Running, held_up: HeldUp) -> None:
        while True:
            try:
                return await running()
            except PASSING as error:
                reason = str(error) or repr(error)
                if held_up.note(reason):
                    self._log("runner.held_up", level="warning", runner=name, reason=reason)
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _run(self, name: str, manager: Manager, follower: Follower) -> None:
        await manager.run(follower)
        if follower.stopped is not None:
            reason = str(follower.stopped)
            self._log("runner.stopped", level="error", runner=name, reason=reason)
            self.when_stopped()

    def _start(self, name: str, running: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(running, name=name)
        self._stack.push_async_callback(_end, task)
        self.tasks.append(task)
        return task


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait((task,))
