"""One of several processes: its way to the one log and to the hosts, from its start to its end."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from domain.aggregates.host import Host
from domain.aggregates.operation import Operation
from domain.aggregates.operation_events import RebootRequested, StepSent
from domain.event import Act, Recorded
from domain.log.engine import OperationalError
from domain.log.follower import Follower
from domain.refusal import unavailable
from projections.container_managers import NodeChangeRow
from projections.planning.schedules import Timing
from runners.container_managers.node_registrar import NodeRegistrar
from runners.hosts.outcomes import HostKeyChanged
from runners.leases.leases import Leases
from runners.leases.ownership import NoLongerOurs, permitted
from runners.operations.host_driver import HostDriver
from runners.operations.node_step import ClusterNodes
from runners.operations.operation_driver import OperationDriver
from runners.planning.scheduler import Scheduler
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import Commands
from tests.domain.memory_unit import MemorySecrets
from tests.simulation.several.conductor import ProcessLoop
from tests.simulation.several.stage import FAULT_S, LEASE_S, SharedStage
from tests.simulation.world import Machine, Played, World

COMMIT_S = 0.002

T = TypeVar("T")


class SharedLog:
    """The one log, as a process reaches it."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._log = process.stage.log
        self.follower = Follower(len(self._log.entries), self.after)
        self.news = Follower(len(self._log.entries), self.after)
        self.plans = Follower(len(self._log.entries), self.after)

    async def perform(self, act: Act, command: Callable[[Any], Any]) -> Any:
        """Decide and store; the answer may get lost."""
        try:
            await self._process.way()
            result = await self._process.elsewhere(self._written(act, command))
            await self._process.way()
        except OperationalError as error:
            raise unavailable(str(error)) from error
        return result

    async def _written(self, act: Act, command: Callable[[Any], Any]) -> Any:
        """What the writer's thread does; it stands still with its process."""
        self._process.perhaps_freeze()
        await asyncio.sleep(COMMIT_S)
        clock = self._process.stage.conductor.clock
        while (still_s := self._process.loop.frozen_until - clock.seconds) > 0:  # noqa: ASYNC110
            await asyncio.sleep(still_s)
        if self._process.loop.killed:
            raise OperationalError("nobody is there any more")
        self._log.on_commit = lambda *news: self._process.loop.tell(self._push, *news)
        before = len(self._log.entries)
        result = self._log.do(act, command)
        for _, _, event in self._log.entries[before:]:
            if isinstance(event, StepSent | RebootRequested):
                self._process.stage.must_hold(self._process.name, event.address)
        return result

    def _push(self, previous: int, recorded: Sequence[Recorded]) -> None:
        self.follower.push(previous, recorded)
        self.news.push(previous, recorded)
        self.plans.push(previous, recorded)

    async def pending_node_changes(self) -> list[tuple[str, str]]:
        """What container managers are still to be told."""
        await self._process.way()
        return await self._log.pending_node_changes()

    async def pending_node_change(self, name: str, address: str) -> NodeChangeRow | None:
        """Of one host."""
        await self._process.way()
        return await self._log.pending_node_change(name, address)

    async def without_node_change(self) -> list[str]:
        """Everybody is told."""
        return []

    async def leaving(self) -> list[str]:
        """Nobody leaves."""
        return []

    async def schedules(self) -> list[str]:
        """The names of all schedules."""
        await self._process.way()
        return await self._log.schedules()

    async def timing(self, name: str) -> Timing | None:
        """When one fires."""
        await self._process.way()
        return await self._log.timing(name)

    async def after(self, position: int) -> list[Recorded]:
        """Further entries."""
        await self._process.way()
        return await self._log.after(position)

    async def unfinished(self) -> list[str]:
        """Operations that are not over."""
        await self._process.way()
        return await self._log.unfinished()

    async def operation(self, name: str) -> Operation:
        """One operation as it is now, and stays for whoever is frozen after this."""
        await self._process.way()
        return copy.deepcopy(await self._log.operation(name))

    async def load(self, address: str) -> Host:
        """One host as it is now."""
        await self._process.way()
        return copy.deepcopy(await self._log.load(address))

    async def output(self, operation: str, address: str) -> bytes:
        """What is kept."""
        await self._process.way()
        return await self._log.output(operation, address)


class Hand(World):
    """One process's way to one host: the host does nothing that comes too late."""

    def __init__(self, process: "Process") -> None:
        stage = process.stage
        super().__init__(stage.chance, stage.world.weather, stage.calm)  # type: ignore[arg-type]
        self.machines = stage.world.machines
        self.process = process
        self.not_after = float("inf")
        self.acts = False
        self.sender = ""

    async def before(self, machine: Machine) -> None:
        """The way there, at whose end the host looks at its clock."""
        await super().before(machine)
        if not self.acts:
            return
        if self.now >= self.not_after:
            raise NoLongerOurs
        self.process.stage.must_be_in_time(self.sender, machine.address)


class HeldContact(Played):
    """As `runners.steps.ssh_contact.SshStepSession`."""

    def __init__(self, hand: Hand, machine: Machine) -> None:
        super().__init__(hand, machine)
        self._hand = hand
        self._address = machine.address

    async def start(self, step_id: str, commands: Commands) -> StepReport:
        """Run it."""
        return await self._sent(super().start(step_id, commands))

    async def cancel(self, step_id: str) -> StepReport:
        """End it."""
        return await self._sent(super().cancel(step_id))

    async def clear(self, step_id: str) -> None:
        """Forget its output."""
        await self._sent(super().clear(step_id))

    async def watch(self, step_id: str, offset: int = 0, wait_s: int = 0) -> StepReport:
        """How it goes."""
        permitted(self._hand.process.leases, self._address)
        return await super().watch(step_id, offset)

    async def _sent(self, act: Coroutine[Any, Any, T]) -> T:
        """It is on its way, and may arrive late, whatever has become of whoever sent it."""
        process = self._hand.process
        try:
            permitted(process.leases, self._address)
        except NoLongerOurs:
            act.close()
            raise
        self._hand.not_after = self._hand.now + process.leases.left_s(self._address)
        self._hand.sender = process.stage.holder_of(process.name, self._address)

        async def delivered() -> T:
            held_up = process.stage.chance.random() < process.stage.freeze_rate
            await asyncio.sleep(process.stage.chance.uniform(0.0, FAULT_S) if held_up else 0.0)
            self._hand.acts = True
            try:
                return await act
            finally:
                self._hand.acts = False

        return await process.elsewhere(delivered())


class Process:
    """One of the processes, from its start until it is killed."""

    def __init__(self, stage: SharedStage, name: str) -> None:
        self.stage = stage
        self.name = name
        self.cut_until = 0.0
        self.slow_s = 0.0
        self.leases = Leases(
            stage.table.seen_from(self.way),
            LEASE_S,
            log=lambda *_, **__: None,
            clock=stage.conductor.clock.time,
            identity=lambda: name,
            dead=stage.is_seen_to_be_dead,
            new_name=lambda: f"{name}/{next(stage.numbers)}",
        )
        self.log = SharedLog(self)
        self.loop: ProcessLoop = stage.conductor.begin(self._live())

    async def _live(self) -> None:
        steps = HostDriver(
            self.log,
            self.log,
            self._connector,
            ClusterNodes(self.stage.manager),
            now=self.stage.wall.now,
            on_defect=lambda _, error: self.stage.defects.append(error),
            ownership=self.leases,
        )
        rolling = OperationDriver(
            self.log,
            self.log,
            steps,
            parallel=self.stage.parallel,
            kept_s=1e6,
            now=self.stage.wall.now,
            gates=self.stage.gates,
            ownership=self.leases,
        )
        registrar = NodeRegistrar(
            self.log,
            MemorySecrets(),
            self.log,
            self.stage.manager,
            now=self.stage.wall.now,
            chance=self.stage.chance,
            log=lambda *_, **__: None,
            on_defect=lambda _, error: self.stage.defects.append(error),
            ownership=self.leases,
        )
        schedules = Scheduler(
            self.log,
            self.log,
            now=self.stage.wall.now,
            new_id=self.stage.plans.new_id,
            ownership=self.leases,
        )
        await self.leases.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.leases.run())
            group.create_task(rolling.run(self.log.follower))
            group.create_task(registrar.run(self.log.news))
            group.create_task(schedules.run(self.log.plans))

    @asynccontextmanager
    async def _connector(self, host: Host) -> AsyncIterator[HeldContact]:
        permitted(self.leases, host.name)
        hand = Hand(self)
        machine = hand.machines[host.name]
        await hand.before(machine)
        if machine.has_other_key:
            raise HostKeyChanged("SHA256:other", f"{machine.address} shows another host key.")
        yield HeldContact(hand, machine)

    async def elsewhere(self, doing: Coroutine[Any, Any, T]) -> T:
        """Do it where we can neither hold it up nor take it back, and hear what came of it."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def settle(outcome: "asyncio.Task[T]") -> None:
            if answer.cancelled() or outcome.cancelled():
                return
            if error := outcome.exception():
                answer.set_exception(error)
                answer.exception()  # perhaps nobody waits for it any more
            else:
                answer.set_result(outcome.result())

        def told(outcome: "asyncio.Task[T]") -> None:
            if not outcome.cancelled():
                outcome.exception()
            self.loop.tell(settle, outcome)

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(doing)
            task.add_done_callback(told)

        self.stage.elsewhere.tell(begin)
        return await answer

    def perhaps_freeze(self) -> None:
        """Where it hurts most: what is under way now arrives when all is different."""
        stage = self.stage
        if stage.chance.random() < stage.freeze_rate:
            stage.freezes += 1
            self.loop.frozen_until = self.loop.time() + stage.chance.uniform(0.0, FAULT_S)

    async def way(self) -> None:
        """To the database, or back: it takes a moment, and may lead nowhere."""
        self.perhaps_freeze()
        await asyncio.sleep(COMMIT_S + self.stage.chance.uniform(0.0, self.slow_s))
        if self.loop.killed or self.cut_until > self.loop.time():
            raise OperationalError("the database is away")
