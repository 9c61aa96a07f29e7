"""Stories with several processes on one log: killed, frozen, cut off from it, and slow."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Any, TypeVar

from domain.aggregates.host import Host
from domain.aggregates.operation import Operation
from domain.aggregates.operation_events import RebootRequested, StepSent
from domain.commands import operation_commands
from domain.event import Act, Recorded
from domain.log.engine import OperationalError
from domain.log.follower import Follower
from domain.refusal import unavailable
from projections.container_managers import NodeChangeRow
from runners.container_managers.node_registrar import NodeRegistrar
from runners.hosts.outcomes import HostKeyChanged
from runners.leases.leases import Leases
from runners.leases.ownership import NoLongerOurs, permitted, shard_of
from runners.operations.host_driver import HostDriver
from runners.operations.node_step import ClusterNodes
from runners.operations.operation_driver import OperationDriver
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import Commands
from tests.domain.memory_unit import MemorySecrets
from tests.runners.leases.played_leases import PlayedTable
from tests.simulation.processes import Conductor, ProcessLoop
from tests.simulation.story import LONGEST_S, NAME, Story, Told
from tests.simulation.world import CALM, Machine, Played, World

LEASE_S = 10.0
FAULT_S = 3 * LEASE_S
"""A fault of a process lasts so long at most."""
AFTERWARDS_S = FAULT_S + 30.0
"""How long is looked on when all is over: whoever wakes up then must do no harm."""
COMMIT_S = 0.002

T = TypeVar("T")


class SharedLog:
    """The one log, as a process reaches it."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._log = process.story.log
        self.follower = Follower(len(self._log.entries), self.after)
        self.news = Follower(len(self._log.entries), self.after)

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
        clock = self._process.story.conductor.clock
        while (still_s := self._process.loop.frozen_until - clock.seconds) > 0:  # noqa: ASYNC110
            await asyncio.sleep(still_s)
        if self._process.loop.killed:
            raise OperationalError("nobody is there any more")
        self._log.on_commit = lambda *news: self._process.loop.tell(self._push, *news)
        before = len(self._log.entries)
        result = self._log.do(act, command)
        for _, _, event in self._log.entries[before:]:
            if isinstance(event, StepSent | RebootRequested):
                self._process.story.must_hold(self._process, event.address)
        return result

    def _push(self, previous: int, recorded: Sequence[Recorded]) -> None:
        self.follower.push(previous, recorded)
        self.news.push(previous, recorded)

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
        story = process.story
        super().__init__(story.chance, story.world.weather, story.calm)  # type: ignore[arg-type]
        self.machines = story.world.machines
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
        self.process.story.must_be_in_time(self.sender, machine.address)


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
        self._hand.sender = process.story.holder_of(process, self._address)

        async def delivered() -> T:
            held_up = process.story.chance.random() < process.story.freeze_rate
            await asyncio.sleep(process.story.chance.uniform(0.0, FAULT_S) if held_up else 0.0)
            self._hand.acts = True
            try:
                return await act
            finally:
                self._hand.acts = False

        return await process.elsewhere(delivered())


class Process:
    """One of the processes, from its start until it is killed."""

    def __init__(self, story: "SeveralStory", name: str) -> None:
        self.story = story
        self.name = name
        self.cut_until = 0.0
        self.slow_s = 0.0
        self.leases = Leases(
            story.table.seen_from(self.way),
            LEASE_S,
            log=lambda *_, **__: None,
            clock=story.conductor.clock.time,
            identity=lambda: name,
            dead=story.is_seen_to_be_dead,
            new_name=lambda: f"{name}/{next(story.numbers)}",
        )
        self.log = SharedLog(self)
        self.loop: ProcessLoop = story.conductor.begin(self._live())

    async def _live(self) -> None:
        clock = self.story.conductor.clock
        steps = HostDriver(
            self.log,
            self.log,
            self._connector,
            ClusterNodes(self.story.manager),
            now=clock.now,
            on_defect=lambda _, error: self.story.defects.append(error),
            ownership=self.leases,
        )
        rolling = OperationDriver(
            self.log,
            self.log,
            steps,
            parallel=self.story.parallel,
            kept_s=1e6,
            now=clock.now,
            gates=self.story.gates,
            ownership=self.leases,
        )
        registrar = NodeRegistrar(
            self.log,
            MemorySecrets(),
            self.log,
            self.story.manager,
            now=clock.now,
            chance=self.story.chance,
            log=lambda *_, **__: None,
            on_defect=lambda _, error: self.story.defects.append(error),
            ownership=self.leases,
        )
        await self.leases.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.leases.run())
            group.create_task(rolling.run(self.log.follower))
            group.create_task(registrar.run(self.log.news))

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

        self.story.elsewhere.tell(begin)
        return await answer

    def perhaps_freeze(self) -> None:
        """Where it hurts most: what is under way now arrives when all is different."""
        story = self.story
        if story.chance.random() < story.freeze_rate:
            story.freezes += 1
            self.loop.frozen_until = self.loop.time() + story.chance.uniform(0.0, FAULT_S)

    async def way(self) -> None:
        """To the database, or back: it takes a moment, and may lead nowhere."""
        self.perhaps_freeze()
        await asyncio.sleep(COMMIT_S + self.story.chance.uniform(0.0, self.slow_s))
        if self.loop.killed or self.cut_until > self.loop.time():
            raise OperationalError("the database is away")


class SeveralStory(Story):
    """A story that several processes have a part in."""

    def __init__(self, seed: int) -> None:
        self.conductor = Conductor()
        super().__init__(seed, self.conductor.clock)
        if self.chance.random() < 0.5:
            self.world.weather = CALM  # so that nothing but the processes is at fault
        self._crash_rate = 0.0  # what dies here is a whole process
        self.table = PlayedTable(self.conductor.clock.time, LEASE_S)
        self.numbers = count()
        self.one_machine = self.chance.random() < 0.3
        self.processes: list[Process] = []
        self.trespasses: list[str] = []
        self.freezes = self.cuts = 0
        self.freeze_rate = self.chance.choice([0.0, 0.005, 0.02])
        self.calm_s = self.chance.choice([3.0, 10.0, 30.0])

    async def calm(self) -> None:
        """Where a lone service would die: here it is frozen or killed from outside."""

    def is_seen_to_be_dead(self, name: str) -> bool:
        """Whether somebody on the same machine can see that a process is gone."""
        return self.one_machine and any(p.name == name and p.loop.killed for p in self.processes)

    def holder_of(self, process: Process, address: str) -> str:
        """Whoever holds a host, when a process sends something there: it should be that one."""
        holder = self.table.holder[shard_of(address)]
        if not holder.startswith(f"{process.name}/"):
            self.trespasses.append(f"{process.name} sends something to {address} of {holder!r}")
        return holder

    def must_hold(self, process: Process, address: str) -> None:
        """Whoever says in the log that it is going to act on a host holds it in that moment."""
        if self.table.until.get(self.holder_of(process, address), 0.0) <= self.table.clock():
            self.trespasses.append(f"{process.name} wants {address}, and its lease is over")

    def must_be_in_time(self, sender: str, address: str) -> None:
        """What was sent under a lease may arrive while that lasts, and not any later.

        Whoever sent it may have let go of the host meanwhile; then the step's guard is met.
        """
        if self.table.last_until.get(sender, 0.0) <= self.table.clock():
            self.trespasses.append(f"too late on {address}, sent by {sender!r}")

    def tell_of_several(self) -> Told:
        """From the request to the end, and a while longer."""
        request = self.request()
        self.log.do(self.act("alice"), lambda unit: operation_commands.start(unit, NAME, request))
        for address, node in self.manager.nodes.items():
            if self.log.unit.operations[NAME].request.options.drain:
                self.world.machines[address].has_pods = partial(self._has_pods, node)
        operation = self.log.unit.operations[NAME]
        clock = self.conductor.clock
        try:
            # The first of all: what happens there at the same moment happens before the rest.
            self.elsewhere = self.conductor.begin(asyncio.sleep(0))
            for _ in range(self.chance.randrange(2, 5)):
                self._begin()
            for running in (
                self._operator(),
                self._members(),
                self._befall(),
                self._approvers(),
                self._lockers(),
            ):
                self.conductor.begin(running)
            self.conductor.play(
                lambda: (operation.is_over and not self._has_wishes) or clock.seconds > LONGEST_S,
                LONGEST_S + FAULT_S,
            )
            over_at = clock.seconds
            end = over_at + AFTERWARDS_S
            self.conductor.play(lambda: clock.seconds >= end, end + LONGEST_S)
        finally:
            self.conductor.close()
        assert not self.trespasses, self.trespasses
        return Told(
            self.seed,
            self.log,
            self.world.machines,
            self.manager.nodes,
            self.gates,
            operation,
            over_at,
            self.crashes,
            self.defects,
        )

    def _begin(self) -> None:
        self.processes.append(Process(self, f"process-{len(self.processes)}"))

    async def _befall(self) -> None:
        """One thing after the other befalls a process."""
        chance, clock = self.chance, self.conductor.clock
        while True:
            await asyncio.sleep(chance.uniform(0.0, self.calm_s))
            alive = [process for process in self.processes if not process.loop.killed]
            process = chance.choice(alive)
            until = clock.seconds + chance.uniform(0.0, FAULT_S)
            match chance.randrange(5):
                case 0:
                    self.conductor.kill(process.loop)
                    self.crashes += 1
                    await asyncio.sleep(chance.uniform(0.1, FAULT_S))
                    self._begin()
                case 1 | 2:
                    process.loop.frozen_until = until
                    self.freezes += 1
                case 3:
                    process.cut_until = until
                    self.cuts += 1
                case _:
                    process.slow_s = chance.choice([0.0, 0.0, 0.5, 3.0])


def told_of_several(seed: int) -> Told:
    """The story of a seed, always the same."""
    return SeveralStory(seed).tell_of_several()
