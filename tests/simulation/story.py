"""One story by one seed: a fleet, an operation, operators, faults, and a service that dies."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from domain.event import Recorded
from domain.log.follower import Follower
from runners.container_managers.node_registrar import NodeRegistrar
from runners.operations.host_driver import HostDriver
from runners.operations.node_step import ClusterNodes
from runners.operations.operation_driver import OperationDriver
from runners.os_support.log_lines import Level
from runners.planning.scheduler import Scheduler
from tests.domain.memory_unit import MemorySecrets
from tests.simulation.clock import VirtualLoop
from tests.simulation.people import People
from tests.simulation.stage import Stage, Told

LONGEST_S = 12 * 3600.0
"""An operation that is not over by then never is."""


class Story(Stage):
    """A lone service, which dies now and then."""

    async def tell(self) -> Told:
        """From the request to the end."""
        self.begin()
        others = [asyncio.create_task(acts) for acts in People(self).acts()]
        try:
            with suppress(TimeoutError):  # the judge has a word for it
                async with asyncio.timeout(LONGEST_S):
                    while not self.is_over:
                        await self._live()
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return self.ended(self.loop.time())

    async def _live(self) -> None:
        """One life of the service: until it dies, or everything is done."""
        self.dies = asyncio.Event()
        followers = [Follower(len(self.log.entries), self.log.after) for _ in range(3)]

        def on_commit(previous: int, recorded: Sequence[Recorded]) -> None:
            for follower in followers:
                follower.push(previous, recorded)

        self.log.on_commit = on_commit
        steps = HostDriver(
            self.log,
            self.log,
            self.world,
            ClusterNodes(self.manager),
            now=self.wall.now,
            on_defect=lambda _, error: self.defects.append(error),
        )
        rolling = OperationDriver(
            self.log,
            self.log,
            steps,
            parallel=self.parallel,
            kept_s=1e6,
            now=self.wall.now,
            gates=self.gates,
        )
        registrar = NodeRegistrar(
            self.log,
            MemorySecrets(),
            self.log,
            self.manager,
            now=self.wall.now,
            chance=self.chance,
            log=_nobody_reads,
            on_defect=lambda _, error: self.defects.append(error),
        )
        schedules = Scheduler(self.log, self.log, now=self.wall.now, new_id=self.plans.new_id)
        managers = (rolling, registrar, schedules)
        runs = [each.run(news) for each, news in zip(managers, followers, strict=True)]
        running = asyncio.create_task(self._all(*runs))
        dying = asyncio.create_task(self.dies.wait())
        ending = asyncio.create_task(self._until_over())
        tasks = (running, dying, ending)
        done: set[asyncio.Task[Any]] = set()
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        if running in done:
            raise results[0] or AssertionError("the runner ended by itself")
        if ending not in done:
            self.crashes += 1
            self.crash_rate *= 0.9  # so that it comes to an end
            await asyncio.sleep(self.chance.uniform(0.1, 60.0))  # until somebody starts it again

    @staticmethod
    async def _all(*runners: Coroutine[None, None, None]) -> None:
        async with asyncio.TaskGroup() as group:
            for runner in runners:
                group.create_task(runner)

    async def _until_over(self) -> None:
        while not self.is_over:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.5)


def _nobody_reads(event: str, /, level: Level = "info", **fields: object) -> None:
    """The lines of the service's log."""


def told(seed: int) -> Told:
    """The story of a seed, always the same."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(Story(seed, loop).tell())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
