"""The stage of a story: a fleet, the faults of its hosts, and what is asked for, by one seed."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from domain.aggregates.container_manager import container_manager_request
from domain.aggregates.operation import Operation, OperationRequest
from domain.aggregates.rolling_policy import Kind, Options
from domain.commands import node_outcomes, operation_commands
from domain.event import Act, Event, shifted
from domain.rollouts.amounts import Amount
from domain.rollouts.waves import Wave, checked_waves
from tests.domain.aggregates.test_operations import settle_members
from tests.simulation.clock import Settings, Wall
from tests.simulation.gates import PlayedGates
from tests.simulation.log import PlayedLog, PlayedUnit
from tests.simulation.nodes import PlayedManager, PlayedNode, moods
from tests.simulation.plans import LEAST_S, SCHEDULED_HOST, WINDOW, Plans
from tests.simulation.world import CALM, Machine, World, weather

HOSTS_MAX = 8
PARALLEL: list[Amount] = [1, 2, 5, "25%", "50%", "100%"]
FAILURES: list[Amount] = [0, 0, 1, 3, "25%", "100%"]
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


class Times(Protocol):
    """Whoever knows what time it is."""

    def time(self) -> float:
        """Virtual seconds since the start."""
        ...


@dataclass
class Told:
    """How a story ended."""

    seed: int
    log: PlayedLog
    wall: Wall
    machines: dict[str, Machine]
    nodes: dict[str, PlayedNode]
    gates: PlayedGates
    operation: Operation
    seconds: float
    crashes: int
    defects: list[Exception]
    pause_s_max: float
    """So long may somebody have stood still between what they say and its being stored."""

    @property
    def looked_s(self) -> float:
        """The service has looked within so long, though it may lie down or be cut off meanwhile."""
        return (300.0 if self.crashes else 90.0) + 4 * self.pause_s_max

    @property
    def timed(self) -> Iterator[tuple[float, Event]]:
        """What happened, and in which second."""
        return (
            (at, each.event) for at, each in zip(self.log.seconds, self.log.entries, strict=True)
        )

    @property
    def of_operation(self) -> Iterator[tuple[float, Event]]:
        """What happened to the operation that the story is about."""
        return ((at, e) for at, e in self.timed if e.originator_id == f"operation/{NAME}")

    @property
    def before(self) -> list[Event]:
        """What had happened before the story began."""
        return self.log.unit.history[: self.log.before]

    @property
    def words(self) -> str:
        """The whole story, for a failing test."""
        head = f"seed {self.seed}: {self.operation.request}, {self.crashes} crashes"
        events = [entry.event for entry in self.log.entries]
        return "\n".join([head, *(f"  {e.at[11:22]} {e.originator_id} {e}" for e in events)])


class Stage:
    """A fleet with its faults, the log, and the request, all by the seed."""

    pause_s_max = 1.0

    def __init__(self, seed: int, loop: Times) -> None:
        self.seed = seed
        self.loop = loop
        self.chance = random.Random(seed)
        self.fate = random.Random(f"waves of {seed}")
        """Of what stories had not at first, so that those of then stay as they were."""
        self.plans = Plans(seed)
        self.settings = Settings(seed)
        self.wall = Wall(loop.time)
        self.has_lockers = self.fate.random() < 0.3
        self.crashes = 0
        self.defects: list[Exception] = []
        self.dies = asyncio.Event()
        self.crash_rate = self.chance.choice([0.0, 0.0, 0.005, 0.05])
        faults = weather(self.chance) if self.chance.random() < 0.9 else CALM
        self.world = World(self.chance, faults, self.perhaps_crash)  # type: ignore[arg-type]
        self.manager = PlayedManager(self.chance, moods(self.chance), self.perhaps_crash)
        self.log = PlayedLog(self._fleet(), self.perhaps_crash, loop.time)
        self.gates = PlayedGates(random.Random(f"gates of {seed}"), loop.time, self.perhaps_crash)
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
        if self.plans.has_policy:
            self.plans.change_policy(unit)
        if self.plans.has_schedule:
            self.world.machines[SCHEDULED_HOST] = Machine(SCHEDULED_HOST)
            self.plans.settle_scheduled(unit)
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
            starts_at=shifted(self.wall.now(), 90.0) if self.fate.random() < 0.1 else "",
            window=WINDOW if self.plans.has_window else "",
            gate=self.gates.name,
            override_policy=self.plans.overrides_policy,
        )
        version, script = "27.93" if kind == "deploy" else "", "true" if kind == "run" else ""
        return OperationRequest(kind, "web", version, options, script=script)

    async def perhaps_crash(self) -> None:
        """Perhaps the service dies here: whoever is in the middle of something never goes on."""
        if self.chance.random() < self.crash_rate:
            self.dies.set()
        if self.dies.is_set():
            await asyncio.Event().wait()

    def act(self, actor: str) -> Act:
        """Somebody acts, now."""
        return Act(actor, "story", self.wall.now())

    def begin(self) -> None:
        """Somebody asks for the operation; what has pods says so."""
        request = self.request()
        if self.plans.has_window:
            self.log.do(self.act("alice"), self.plans.define_window)
        if self.plans.has_schedule:
            self.log.do(self.act("alice"), self.plans.define_schedule)
        self.log.do(self.act("alice"), lambda unit: operation_commands.start(unit, NAME, request))
        for address, node in self.manager.nodes.items():
            if self.operation.request.options.drain:
                self.world.machines[address].has_pods = partial(self._has_pods, node)

    @property
    def operation(self) -> Operation:
        """As it is now."""
        return self.log.unit.operations[NAME]

    def ended(self, seconds: float) -> Told:
        """How it ended, after so many seconds."""
        return Told(
            self.seed,
            self.log,
            self.wall,
            {name: it for name, it in self.world.machines.items() if name != SCHEDULED_HOST},
            self.manager.nodes,
            self.gates,
            self.operation,
            seconds,
            self.crashes,
            self.defects,
            self.pause_s_max,
        )

    def _has_pods(self, node: PlayedNode) -> bool:
        return not node.cordoned or node.pods_at(self.loop.time()) > 0

    @property
    def is_over(self) -> bool:
        """Whether it is, and container managers have nothing left to be told."""
        if self.plans.has_schedule and self.loop.time() < LEAST_S:
            return False
        return self.operation.is_over and not any(
            each.cordoned for each in self.log.unit.container_managers.values()
        )
