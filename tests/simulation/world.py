"""A fleet that is played: hosts that run steps and reboot, and everything that goes wrong there."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from domain.aggregates.host import Host
from runners.hosts.outcomes import HostKeyChanged, HostUnusable
from runners.steps.contact import RebootNeed
from runners.steps.detached_step import State, StepReport
from runners.steps.system_commands import Commands, reboot

REBOOT_DELAY_S = 1.0


@dataclass(frozen=True)
class Weather:
    """How likely each fault is, from 0 to 1."""

    drop: float
    """A connection is refused or lost, before or after what it was for."""
    hang: float
    """Nobody answers for a while."""
    slow: float
    fails: float
    """A package command ends badly."""
    stuck: float
    """One never ends."""
    no_return: float
    """A reboot after which the host never comes back."""
    no_reboot: float
    """A reboot that is none."""
    other_key: float
    """A host comes back with another host key."""
    power: float
    """A host loses its power while a step runs."""
    same_boot: float
    """A host goes down and comes back as if it had never been booted."""
    refuses: float
    """A host stops letting us do anything, for good."""


CALM = Weather(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def weather(chance: random.Random) -> Weather:
    """Some faults, but seldom all of them."""

    def some(most: float) -> float:
        return chance.uniform(0, most) if chance.random() < 0.4 else 0.0

    return Weather(
        drop=some(0.2),
        hang=some(0.1),
        slow=some(0.3),
        fails=some(0.4),
        stuck=some(0.2),
        no_return=some(0.2),
        no_reboot=some(0.2),
        other_key=some(0.2),
        power=some(0.2),
        same_boot=some(0.2),
        refuses=some(0.03),
    )


@dataclass
class PlayedStep:
    """A step on a host. `ends_at` in virtual seconds; infinity is never."""

    begun_boot: int
    ends_at: float
    exit_status: int
    output: bytes
    killed: bool = False
    cancelled: bool = False


@dataclass
class Machine:
    """A host."""

    address: str
    boot: int = 1
    steps: dict[str, PlayedStep] = field(default_factory=dict)
    down_at: float = float("inf")
    up_at: float = 0.0
    boots_new: bool = True
    key_after: bool = False
    has_other_key: bool = False
    refuses: bool = False
    sent_after_other_key: int = 0
    has_pods: Callable[[], bool] = lambda: False
    """Whether it is a node that should be drained, and is not."""
    hurt: int = 0
    """How often a step began although it had."""
    ran: Counter[str] = field(default_factory=Counter)
    """How often the commands of each kind of step began, under whatever id."""
    away: list[tuple[float, float]] = field(default_factory=list)
    """When it was off."""

    def at(self, now: float) -> "Machine":
        """As it is by now."""
        if now >= self.down_at:
            self.boot += self.boots_new
            self.has_other_key = self.has_other_key or self.key_after
            for step in self.steps.values():
                step.killed = step.killed or step.ends_at > self.down_at
            self.away.append((self.down_at, self.up_at))
            self.down_at = float("inf")
        return self

    def running(self, now: float) -> list[str]:
        """The ids of steps that run."""
        self.at(now)
        return [
            step_id
            for step_id, step in self.steps.items()
            if not step.killed and not step.cancelled and step.ends_at > now
        ]

    def go_down(self, at: float, downtime_s: float, *, new: bool, key: bool = False) -> None:
        """Go down at a time, and come back later."""
        self.down_at = at
        self.up_at = self.down_at + downtime_s
        self.boots_new, self.key_after = new, key

    def is_off(self, now: float) -> bool:
        """Whether it has gone down, and is not back."""
        return self.at(now).down_at == float("inf") and now < self.up_at


class Played:
    """A connection to a machine."""

    def __init__(self, world: "World", machine: Machine) -> None:
        self._world = world
        self._machine = machine

    async def start(self, step_id: str, commands: Commands) -> StepReport:
        """Run it, unless that was done before."""
        await self._world.before(self._machine)
        machine, now, chance = (
            self._machine.at(self._world.now),
            self._world.now,
            self._world.chance,
        )
        if machine.has_other_key:
            machine.sent_after_other_key += 1
        if step_id not in machine.steps:
            machine.ran[step_id.rpartition("-")[2]] += 1
            machine.hurt += machine.has_pods()
            if commands == reboot(boot_id := commands[0][-1]):
                machine.steps[step_id] = PlayedStep(machine.boot, now + REBOOT_DELAY_S, 0, b"")
                if boot_id == str(machine.boot):
                    self._reboot()
            else:
                status = int(chance.random() < self._world.weather.fails)
                seconds = chance.uniform(0.5, 60.0)
                stuck = chance.random() < self._world.weather.stuck
                ends_at = float("inf") if stuck else now + seconds
                said = b"x" * chance.randrange(0, 200)
                machine.steps[step_id] = PlayedStep(machine.boot, ends_at, status, said)
                if chance.random() < self._world.weather.power:
                    downtime_s = chance.uniform(1.0, 40.0)
                    machine.go_down(now + chance.uniform(0.1, 60.0), downtime_s, new=True)
        await self._world.after(self._machine)
        return self._report(step_id, 0)

    def _reboot(self) -> None:
        chance, weather = self._world.chance, self._world.weather
        if chance.random() < weather.no_reboot:
            return
        never = chance.random() < weather.no_return
        downtime_s = float("inf") if never else chance.uniform(2.0, 40.0)
        key = chance.random() < weather.other_key
        new = chance.random() >= weather.same_boot
        self._machine.go_down(self._world.now + REBOOT_DELAY_S, downtime_s, new=new, key=key)

    async def watch(self, step_id: str, offset: int = 0, wait_s: int = 0) -> StepReport:
        """How it goes."""
        await self._world.before(self._machine)
        await self._world.after(self._machine)
        return self._report(step_id, offset)

    async def cancel(self, step_id: str) -> StepReport:
        """End it."""
        await self._world.before(self._machine)
        machine, now = self._machine.at(self._world.now), self._world.now
        step = machine.steps.get(step_id)
        if step is None:
            step = PlayedStep(machine.boot, 0.0, 0, b"", cancelled=True)
            machine.steps[step_id] = step
        elif step.ends_at > now:
            step.killed = True
        await self._world.after(self._machine)
        return self._report(step_id, 0)

    async def clear(self, step_id: str) -> None:
        """Forget its output."""
        await self._world.before(self._machine)

    async def reboot_needed(self) -> RebootNeed:
        """By chance."""
        await self._world.before(self._machine)
        return RebootNeed(self._world.chance.random() < 0.5)

    def _report(self, step_id: str, offset: int) -> StepReport:
        now = self._world.now
        machine = self._machine.at(now)
        step = machine.steps.get(step_id)
        boot = str(machine.boot)
        if step is None:
            return StepReport("absent", None, "", boot, 0, b"", "")
        state: State = "running"
        if step.cancelled:
            state = "cancelled"
        elif step.killed:
            state = "lost"
        elif step.ends_at <= now:
            state = "ended"
        status = step.exit_status if state == "ended" else None
        begun = str(step.begun_boot)
        said = step.output[offset:]
        return StepReport(state, status, begun, boot, len(step.output), said, "")


class World:
    """All machines. `crash` may never return: the service dies in it."""

    def __init__(
        self, chance: random.Random, faults: Weather, crash: Callable[[], "asyncio.Future[None]"]
    ) -> None:
        self.chance = chance
        self.weather = faults
        self.machines: dict[str, Machine] = {}
        self._crash = crash

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()

    def __call__(self, host: Host) -> AbstractAsyncContextManager[Played]:
        """A connection to a host."""
        return self._connected(self.machines[host.name])

    @asynccontextmanager
    async def _connected(self, machine: Machine) -> AsyncIterator[Played]:
        await self.before(machine)
        if machine.has_other_key:
            raise HostKeyChanged("SHA256:other", f"{machine.address} shows another host key.")
        yield Played(self, machine)

    async def before(self, machine: Machine) -> None:
        """The way there: it takes a moment, and may end before anything was done."""
        await self._way(machine)
        machine.refuses = machine.refuses or self.chance.random() < self.weather.refuses
        if machine.refuses:
            raise HostUnusable(
                "authentication", "The host does not let us in any more.", passing=False
            )
        if self.chance.random() < self.weather.hang:
            await asyncio.sleep(self.chance.uniform(5.0, 30.0))
            raise _cut("does not answer")
        if machine.is_off(self.now):
            raise _cut("is off")

    async def after(self, machine: Machine) -> None:
        """The way back: what was asked for is done, whether we learn of it or not."""
        boot = machine.boot
        await self._way(machine)
        if machine.is_off(self.now) or machine.boot != boot:
            raise _cut("went down")

    async def _way(self, machine: Machine) -> None:
        slow = self.chance.random() < self.weather.slow
        await asyncio.sleep(self.chance.uniform(1.0, 8.0) if slow else 0.01)
        await self._crash()
        if self.chance.random() < self.weather.drop:
            raise _cut("dropped the connection")


def _cut(why: str) -> HostUnusable:
    return HostUnusable("unreachable", f"The host {why}.", passing=True)
