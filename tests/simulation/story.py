"""One story by one seed: a fleet, an operation, operators, faults, and a service that dies."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from domain.aggregates.container_manager import container_manager_request
from domain.aggregates.operation import Operation, OperationRequest
from domain.aggregates.planning.window import Hours
from domain.aggregates.rolling_policy import Amount, Kind, Options
from domain.commands import (
    approvals,
    budget,
    investigation,
    node_outcomes,
    operation_commands,
)
from domain.commands.investigation import Subject
from domain.commands.operation_commands import Wish
from domain.event import Act, Recorded, shifted
from domain.log.follower import Follower
from domain.refusal import Refusal
from domain.rollouts.waves import Wave, checked_waves
from runners.container_managers.node_registrar import NodeRegistrar
from runners.operations.host_driver import HostDriver
from runners.operations.node_step import ClusterNodes
from runners.operations.operation_driver import OperationDriver
from runners.os_support.log_lines import Level
from tests.domain.aggregates.test_operations import settle_members
from tests.domain.memory_unit import MemorySecrets
from tests.simulation.clock import VirtualLoop
from tests.simulation.gates import PlayedGates
from tests.simulation.log import PlayedLog, PlayedUnit
from tests.simulation.nodes import PlayedManager, PlayedNode, moods
from tests.simulation.world import CALM, Machine, World, weather

HOSTS_MAX = 8
PARALLEL: list[Amount] = [1, 2, 5, "25%", "50%", "100%"]
FAILURES: list[Amount] = [0, 0, 1, 3, "25%", "100%"]
LONGEST_S = 12 * 3600.0
"""An operation that is not over by then never is."""
WISHES: list[Wish] = ["paused", "paused", "in_process", "cancelled"]
WINDOW = "nights"
NAME = "019a8f6e-6c3c-7d3e-9b1a-0f4d0c8c7a55"


def some_waves(fate: random.Random) -> list[Wave]:
    """Perhaps one or two that come first."""
    if fate.random() < 0.5:
        return []
    hosts: list[Amount] = [1, 2, "30%", "50%"]
    return checked_waves(
        {
            "hosts": fate.choice(hosts),
            "soak_s": fate.choice([0.0, 45.0, 200.0]),
            "approval": fate.choice([False, False, True, "second"]),
        }
        for _ in range(fate.choice([1, 1, 2]))
    )


def some_window(fate: random.Random) -> Hours | None:
    """Perhaps one that opens every few minutes."""
    if fate.random() < 0.7:
        return None
    starts = fate.choice(["*/5 * * * *", "*/10 * * * *", "7-59/20 * * * *"])
    return Hours("Australia/Lord_Howe", starts, fate.choice([150, 250, 400]))


class Times(Protocol):
    """Whoever knows what time it is."""

    def time(self) -> float:
        """Virtual seconds since the start."""
        ...

    def now(self) -> str:
        """As events have it."""
        ...


@dataclass
class Told:
    """How a story ended."""

    seed: int
    log: PlayedLog
    machines: dict[str, Machine]
    nodes: dict[str, PlayedNode]
    gates: PlayedGates
    operation: Operation
    seconds: float
    crashes: int
    defects: list[Exception]

    @property
    def words(self) -> str:
        """The whole story, for a failing test."""
        head = f"seed {self.seed}: {self.operation.request}, {self.crashes} crashes"
        events = [entry.event for entry in self.log.entries]
        return "\n".join([head, *(f"  {e.at[11:22]} {e.originator_id} {e}" for e in events)])


class Story:
    """The stage, and who acts on it."""

    def __init__(self, seed: int, loop: Times) -> None:
        self.seed = seed
        self.loop = loop
        self.chance = random.Random(seed)
        self.fate = random.Random(f"waves of {seed}")
        """Of what stories had not at first, so that those of then stay as they were."""
        self.nights = random.Random(f"windows of {seed}")
        self.has_lockers = self.fate.random() < 0.3
        self._holders: dict[str, float] = {}
        self.crashes = 0
        self.defects: list[Exception] = []
        self._dies = asyncio.Event()
        self._crash_rate = self.chance.choice([0.0, 0.0, 0.005, 0.05])
        faults = weather(self.chance) if self.chance.random() < 0.9 else CALM
        self.world = World(self.chance, faults, self._crash)  # type: ignore[arg-type]
        self.manager = PlayedManager(self.chance, moods(self.chance), self._crash)
        self.log = PlayedLog(self._fleet(), self._crash)
        self.gates = PlayedGates(random.Random(f"gates of {seed}"), loop.now, self._crash)
        self.parallel = self.chance.choice([1, 3, 64])

    def _fleet(self) -> PlayedUnit:
        size = self.chance.randrange(1, HOSTS_MAX + 1)
        addresses = [f"10.0.0.{number + 1}" for number in range(size)]
        for address in addresses:
            self.world.machines[address] = Machine(address)
        unit = PlayedUnit()
        if self.chance.random() < 0.5:
            settle_members(unit, addresses, os="atomic")
        else:
            self._settle_nodes(unit, addresses)
        for address in addresses:
            if self.chance.random() < 0.05:
                unit.host(address).fail("unreachable", "It is off.")
        if self.fate.random() < 0.3:
            policies: list[Amount] = [1, 2, "50%"]
            unit.cluster("web").change_policy(self.fate.choice(policies))
        unit.did()
        return unit

    def _settle_nodes(self, unit: PlayedUnit, addresses: list[str]) -> None:
        """A cluster with a container manager, that was told of nearly all of them."""
        wanted = container_manager_request("kubernetes", {"server_url": "https://10.9.9.9"})
        unit.container_manager("prod").create(wanted)
        settle_members(unit, addresses, os="atomic", manager="prod")
        for address in addresses:
            if self.chance.random() < 0.9:
                node_outcomes.registered(unit, "prod", address, found=False)
                self.manager.add(self.world.machines[address])

    def request(self) -> OperationRequest:
        """What is asked for."""
        chance = self.chance
        parallel: Amount = chance.choice(PARALLEL)
        failures: Amount = chance.choice(FAILURES)
        kind: Kind = chance.choice(["upgrade", "deploy", "restart"])
        if kind == "upgrade" and self.fate.random() < 0.2:
            kind = "run"
        options = Options(
            max_parallel=parallel,
            max_failures=failures,
            max_unavailable=chance.choice([None, None, 1, 2, "50%"]),
            healthy_for_s=chance.choice([0.0, 0.0, 5.0, 30.0]),
            step_timeout_s=chance.choice([30.0, 90.0, 300.0]),
            drain=chance.choice([None, None, None, False]),
            reboot="never"
            if kind == "restart"
            else chance.choice(["never", "if_needed", "always"]),
            waves=some_waves(self.fate),
            starts_at=shifted(self.loop.now(), 90.0) if self.fate.random() < 0.1 else "",
            window=WINDOW if self._define_window() else "",
            gate=self.gates.name,
        )
        version, script = "27.93" if kind == "deploy" else "", "true" if kind == "run" else ""
        return OperationRequest(kind, "web", version, options, script=script)

    def _define_window(self) -> bool:
        """Define one, perhaps in place of another; whether there is one."""
        hours = some_window(self.nights)
        if hours is not None:
            self.log.do(self.act("alice"), lambda unit: unit.window(WINDOW).define(hours))
        return hours is not None

    async def _crash(self) -> None:
        """Perhaps the service dies here: whoever is in the middle of something never goes on."""
        if self.chance.random() < self._crash_rate:
            self._dies.set()
        if self._dies.is_set():
            await asyncio.Event().wait()

    def act(self, actor: str) -> Act:
        """Somebody acts, now."""
        return Act(actor, "story", self.loop.now())

    async def tell(self) -> Told:
        """From the request to the end."""
        request = self.request()
        self.log.do(self.act("alice"), lambda unit: operation_commands.start(unit, NAME, request))
        for address, node in self.manager.nodes.items():
            if self.log.unit.operations[NAME].request.options.drain:
                self.world.machines[address].has_pods = partial(self._has_pods, node)
        others = [asyncio.create_task(acts) for acts in self.people()]
        operation = self.log.unit.operations[NAME]
        try:
            with suppress(TimeoutError):  # the judge has a word for it
                async with asyncio.timeout(LONGEST_S):
                    while not operation.is_over or self._has_wishes:
                        await self._live(operation)
                        operation = self.log.unit.operations[NAME]
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return Told(
            self.seed,
            self.log,
            self.world.machines,
            self.manager.nodes,
            self.gates,
            operation,
            self.loop.time(),
            self.crashes,
            self.defects,
        )

    async def _live(self, operation: Operation) -> None:
        """One life of the service: until it dies, or everything is done."""
        self._dies = asyncio.Event()
        follower = Follower(len(self.log.entries), self.log.after)
        news = Follower(len(self.log.entries), self.log.after)

        def on_commit(previous: int, recorded: Sequence[Recorded]) -> None:
            follower.push(previous, recorded)
            news.push(previous, recorded)

        self.log.on_commit = on_commit
        steps = HostDriver(
            self.log,
            self.log,
            self.world,
            ClusterNodes(self.manager),
            now=self.loop.now,
            on_defect=lambda _, error: self.defects.append(error),
        )
        rolling = OperationDriver(
            self.log,
            self.log,
            steps,
            parallel=self.parallel,
            kept_s=1e6,
            now=self.loop.now,
            gates=self.gates,
        )
        registrar = NodeRegistrar(
            self.log,
            MemorySecrets(),
            self.log,
            self.manager,
            now=self.loop.now,
            chance=self.chance,
            log=_nobody_reads,
            on_defect=lambda _, error: self.defects.append(error),
        )
        running = asyncio.create_task(self._both(rolling.run(follower), registrar.run(news)))
        dying = asyncio.create_task(self._dies.wait())
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
            self._crash_rate *= 0.9  # so that it comes to an end
            await asyncio.sleep(self.chance.uniform(0.1, 60.0))  # until somebody starts it again

    @staticmethod
    async def _both(*runners: Coroutine[None, None, None]) -> None:
        async with asyncio.TaskGroup() as group:
            for runner in runners:
                group.create_task(runner)

    def _has_pods(self, node: PlayedNode) -> bool:
        return not node.cordoned or node.pods_at(self.loop.time()) > 0

    @property
    def _has_wishes(self) -> bool:
        return any(each.cordoned for each in self.log.unit.container_managers.values())

    async def _until_over(self) -> None:
        operation = self.log.unit.operations
        while not operation[NAME].is_over or self._has_wishes:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.5)

    async def _operator(self) -> None:
        """Pauses, resumes, perhaps cancels."""
        if self.chance.random() < 0.6:
            return
        while True:
            await asyncio.sleep(self.chance.uniform(1.0, 120.0))
            self._steer(self.chance.choice(WISHES))
            await asyncio.sleep(self.chance.uniform(1.0, 120.0))
            self._steer("in_process")

    def people(self) -> list[Coroutine[Any, Any, None]]:
        """Whoever acts beside the service."""
        return [self._operator(), self._members(), self._approvers(), self._lockers()]

    async def _lockers(self) -> None:
        """Hosts that restart by themselves: most say that they are back, others are released."""
        while self.has_lockers:
            await asyncio.sleep(self.fate.uniform(5.0, 150.0))
            for address, held in list(self._holders.items()):
                if self.loop.time() > held:
                    del self._holders[address]
                    give = partial(budget.give_lock, name="web", address=address, client="it")
                    self.log.do(self.act("alice"), give)
            address = self.fate.choice(list(self.world.machines))
            with suppress(Refusal):
                take = partial(budget.take_lock, name="web", address=address, client="it")
                self.log.do(self.act(f"fleetlock:{address}"), take)
                self._holders[address] = self.loop.time() + self.fate.uniform(10.0, 400.0)

    async def _approvers(self) -> None:
        """Look now and then, approve what waits for that, and give up what nobody mends."""
        patience = 20
        while True:
            await asyncio.sleep(self.fate.uniform(10.0, 120.0))
            told = self.log.unit.operations[NAME].told
            for actor in ("alice", "bob") if told.what in ("approval", "soak") else ():
                self._approve(actor)
            patience -= told.what in ("soak", "members") and told.until is None
            if patience <= 0:
                self._steer("cancelled")

    async def _planner(self) -> None:
        """Moves the window now and then."""
        while self.log.unit.operations[NAME].request.options.window:
            await asyncio.sleep(self.nights.uniform(200.0, 3000.0))
            self._define_window()

    def _approve(self, actor: str) -> None:
        wave = self.log.unit.operations[NAME].wave + 1
        with suppress(Refusal):  # too early, or by who began it
            self.log.do(self.act(actor), lambda unit: approvals.approve(unit, NAME, wave))

    def _steer(self, wish: Wish) -> None:
        operation = self.log.unit.operations[NAME]
        if not operation.is_over and operation.state != "cancelling":
            self.log.do(self.act("alice"), lambda unit: operation_commands.steer(unit, NAME, wish))

    async def _members(self) -> None:
        """Hosts fail by themselves, and those that failed come back."""
        while True:
            await asyncio.sleep(self.chance.uniform(10.0, 200.0))
            self._change(self.chance.choice(list(self.world.machines)))

    def _change(self, address: str) -> None:
        host = self.log.unit.hosts[address]
        if host.status == "failed" and host.facts is not None:
            facts, act = host.facts, self.act("runner:investigator")
            self.log.do(act, lambda unit: unit.host(address).gather_facts(facts))
        elif self.chance.random() < 0.2:
            act = self.act("runner:watcher")
            subject = Subject(address, host.incarnation)
            self.log.do(
                act, lambda unit: investigation.fail(unit, subject, "unreachable", "It is off.")
            )


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
