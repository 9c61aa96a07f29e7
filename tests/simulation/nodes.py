"""A container manager that is played: nodes whose pods leave or do not, and everything that goes
wrong on the way to it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from runners.container_managers.failure import ManagerFailed
from runners.container_managers.kubernetes import Draining
from tests.simulation.world import Machine

SOMEBODY = "kubectl"
"""Who cordons, if it is not us."""
FOR_EVER = float("inf")


@dataclass(frozen=True)
class Moods:
    """How likely each fault is, from 0 to 1."""

    drop: float
    """An exchange is lost, before or after what it was for."""
    away: float
    """It goes away for minutes."""
    blocked: float
    """Pods of a node may not leave for a while."""
    stuck: float
    """They never may."""
    foreign: float
    """A node that somebody else cordoned."""
    refuses: float
    """It says no, for a reason that does not pass."""


def moods(chance: random.Random) -> Moods:
    """Some faults, but seldom all of them."""

    def some(most: float) -> float:
        return chance.uniform(0, most) if chance.random() < 0.4 else 0.0

    return Moods(some(0.2), some(0.02), some(0.5), some(0.2), some(0.3), some(0.01))


@dataclass
class PlayedNode:
    """A node. `cordoned` is by whom, or ""."""

    machine: Machine
    pods: int
    takes_s: float
    blocked_until: float
    cordoned: str
    was_foreign: bool
    released: str = ""
    gone_at: float = FOR_EVER

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else cordoned it."""
        return self.cordoned == SOMEBODY

    def pods_at(self, now: float) -> int:
        """How many are there."""
        return 0 if now >= self.gone_at else self.pods


class PlayedManager:
    """All nodes. `crash` may never return: the service dies in it."""

    def __init__(
        self, chance: random.Random, faults: Moods, crash: Callable[[], Awaitable[None]]
    ) -> None:
        self._chance = chance
        self._moods = faults
        self._crash = crash
        self._back_at = 0.0
        self.nodes: dict[str, PlayedNode] = {}

    def add(self, machine: Machine) -> None:
        """A host that is a node."""
        chance, faults = self._chance, self._moods
        blocked_until = 0.0
        if chance.random() < faults.blocked:
            blocked_until = chance.uniform(5.0, 200.0)
        if chance.random() < faults.stuck:
            blocked_until = FOR_EVER
        foreign = SOMEBODY if chance.random() < faults.foreign else ""
        pods, takes_s = chance.randrange(0, 4), chance.uniform(0.0, 30.0)
        self.nodes[machine.address] = PlayedNode(
            machine, pods, takes_s, blocked_until, foreign, bool(foreign)
        )

    async def __call__(self, name: str) -> "PlayedManager":
        """There is only one."""
        return self

    async def cordon(self, address: str, operation: str) -> None:
        """As the client does it, and the node that it was decided on."""
        node = self.nodes[address]
        await self._way()
        if node.released == operation:
            raise ManagerFailed("refused", "It was released.")
        if not node.is_foreign:
            node.cordoned = operation
        await self._way()

    async def uncordon(self, address: str, operation: str = "") -> None:
        """Only what that operation cordoned."""
        node = self.nodes[address]
        await self._way()
        if node.cordoned == operation:
            node.cordoned = ""
        node.released = operation
        await self._way()

    async def restore(self, address: str, operation: str) -> None:
        """Nothing is cordoned from before in these stories."""
        await self.uncordon(address, operation)

    async def drain(self, address: str) -> Draining:
        """Pods begin to leave, unless they may not."""
        node, now = self.nodes[address], self._now
        await self._way()
        blocked = node.pods_at(now) > 0 and now < node.blocked_until
        if not blocked and node.gone_at == FOR_EVER:
            node.gone_at = now + node.takes_s
        await self._way()
        after_s = self._chance.choice([None, 1.0, 30.0]) if blocked else None
        left = node.pods_at(now)
        return Draining(left, "default/a: It is blocked." if blocked else "", after_s)

    async def is_ready(self, address: str) -> bool:
        """While its machine is on."""
        await self._way()
        return not self.nodes[address].machine.is_off(self._now)

    async def register(self, address: str, cluster: str, mark: str) -> bool:
        """Nobody comes in these stories."""
        raise NotImplementedError

    async def remove(self, address: str, mark: str) -> bool:
        """Nobody leaves."""
        raise NotImplementedError

    async def take_back(self, address: str, mark: str) -> None:
        """Nobody comes."""
        raise NotImplementedError

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _way(self) -> None:
        chance, faults = self._chance, self._moods
        await asyncio.sleep(0.01)
        await self._crash()
        if chance.random() < faults.away:
            self._back_at = self._now + chance.uniform(5.0, 300.0)
        if self._now < self._back_at or chance.random() < faults.drop:
            raise ManagerFailed("unreachable", "It cannot be reached.")
        if chance.random() < faults.refuses:
            raise ManagerFailed("forbidden", "It forbids that.")
