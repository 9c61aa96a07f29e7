"""Whoever acts beside the service: people, and hosts that fail or restart by themselves."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from domain.commands import approvals, budget, investigation, operation_commands
from domain.commands.investigation import Subject
from domain.commands.operation_commands import Wish
from domain.refusal import Refusal
from tests.simulation.stage import NAME, Stage

ANSWER_S = 20.0
"""A service that dies answers nobody."""
BACK_S_MAX = 1800.0
"""What is to begin at a time begins then, however long its clock was set back."""
PATIENCE = 1000
WISHES: list[Wish] = ["paused", "paused", "in_process", "cancelled"]


class People:
    """All of them, on one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._chance, self._fate = stage.chance, stage.fate
        self._holders: dict[str, float] = {}

    def acts(self) -> list[Coroutine[Any, Any, None]]:
        """What each of them does, until it is cancelled."""
        return [
            self._operator(),
            self._members(),
            self._approvers(),
            self._lockers(),
            self._planner(),
            self._clockmaker(),
        ]

    async def _operator(self) -> None:
        """Pauses, resumes, perhaps cancels."""
        if self._chance.random() < 0.6:
            return
        while True:
            await asyncio.sleep(self._chance.uniform(1.0, 120.0))
            self._steer(self._chance.choice(WISHES))
            await asyncio.sleep(self._chance.uniform(1.0, 120.0))
            self._steer("in_process")

    async def _lockers(self) -> None:
        """Hosts that restart by themselves: most say that they are back, others are released."""
        while self._stage.has_lockers:
            await asyncio.sleep(self._fate.uniform(5.0, 150.0))
            for address, held in list(self._holders.items()):
                if self._stage.loop.time() > held:
                    del self._holders[address]
                    give = partial(budget.give_lock, name="web", address=address, client="it")
                    self._do("alice", give)
            address = self._fate.choice(list(self._stage.world.machines))
            with suppress(Refusal, TimeoutError):
                await self._take_lock(address)
                self._holders[address] = self._stage.loop.time() + self._fate.uniform(10.0, 400.0)

    async def _take_lock(self, address: str) -> None:
        """As `web.resources.rollouts.fleet_lock` does it."""
        take = partial(budget.take_lock, name="web", address=address, client="it")
        try:
            self._do(f"fleetlock:{address}", take)
        except budget.Unasked as unasked:
            async with asyncio.timeout(ANSWER_S):
                verdicts = await self._stage.gates.ask((unasked.gate,))
            self._do(f"fleetlock:{address}", partial(take, verdicts=verdicts))

    async def _approvers(self) -> None:
        """Look now and then, approve what waits for that, and give up what nobody mends."""
        patience = 20
        while True:
            await asyncio.sleep(self._fate.uniform(10.0, 120.0))
            told = self._stage.operation.told
            for actor in ("alice", "bob") if told.what in ("approval", "soak") else ():
                self._approve(actor)
            patience -= told.what in ("soak", "members") and told.until is None
            if patience <= 0:
                self._steer("cancelled")

    async def _planner(self) -> None:
        """Moves windows, changes the policy and the schedule, now and then."""
        while True:
            await asyncio.sleep(self._stage.plans.nights.uniform(10.0, 300.0))
            for change in self._stage.plans.changes():
                self._do("alice", change)

    async def _clockmaker(self) -> None:
        """Sets the clock of all machines, and perhaps sets it right again."""
        settings, stage = self._stage.settings, self._stage
        by_s = -settings.by_s if settings.is_first_back else settings.by_s
        if stage.operation.request.options.starts_at:
            by_s = max(by_s, -BACK_S_MAX)
        left = settings.times if settings.is_set else 0
        while left:
            await asyncio.sleep(settings.chance.uniform(1.0, settings.pause_s_max))
            patience = PATIENCE
            while settings.while_it_waits and patience and not stage.operation.told.until:
                await asyncio.sleep(1.0)
                patience -= 1
            stage.wall.set(-stage.wall.ahead_s if stage.wall.ahead_s else by_s)
            left -= 1

    def _approve(self, actor: str) -> None:
        wave = self._stage.operation.wave + 1
        with suppress(Refusal):  # too early, or by who began it
            self._do(actor, lambda unit: approvals.approve(unit, NAME, wave))

    def _steer(self, wish: Wish) -> None:
        operation = self._stage.operation
        if not operation.is_over and operation.state != "cancelling":
            self._do("alice", lambda unit: operation_commands.steer(unit, NAME, wish))

    async def _members(self) -> None:
        """Hosts fail by themselves, and those that failed come back."""
        while True:
            await asyncio.sleep(self._chance.uniform(10.0, 200.0))
            self._change(self._chance.choice(list(self._stage.world.machines)))

    def _change(self, address: str) -> None:
        host = self._stage.log.unit.hosts[address]
        if host.status == "failed" and host.facts is not None:
            facts = host.facts
            self._do("runner:investigator", lambda unit: unit.host(address).gather_facts(facts))
        elif self._chance.random() < 0.2:
            subject = Subject(address, host.incarnation)
            self._do(
                "runner:watcher",
                lambda unit: investigation.fail(unit, subject, "unreachable", "It is off."),
            )

    # Any: a unit in memory.
    def _do(self, actor: str, command: Callable[[Any], object]) -> None:
        self._stage.log.do(self._stage.act(actor), command)
