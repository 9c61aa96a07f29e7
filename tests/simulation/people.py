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
            with suppress(Refusal):
                take = partial(budget.take_lock, name="web", address=address, client="it")
                self._do(f"fleetlock:{address}", take)
                self._holders[address] = self._stage.loop.time() + self._fate.uniform(10.0, 400.0)

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
        """Moves the window now and then."""
        while self._stage.operation.request.options.window:
            await asyncio.sleep(self._stage.nights.uniform(10.0, 300.0))
            self._stage.define_window()

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
