"""A gate that says yes and no as it likes, and takes its time for it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection

GATE = "alerts"


class PlayedGates:
    """What was asked is kept: when the answer came, and whether it was yes."""

    def __init__(
        self, chance: random.Random, now: Callable[[], str], crash: Callable[[], Awaitable[None]]
    ) -> None:
        self._chance = chance
        self._now = now
        self._crash = crash
        self.answers: list[tuple[str, bool]] = []

    @property
    def name(self) -> str:
        """What an operation is told to ask; "" for none."""
        return GATE if self._chance.random() < 0.25 else ""

    async def ask(self, names: Collection[str]) -> dict[str, str]:
        """Yes, or an alert."""
        await asyncio.sleep(self._chance.uniform(0.0, 5.0))
        await self._crash()
        says_yes = self._chance.random() < 0.7
        self.answers.append((self._now(), says_yes))
        return dict.fromkeys(names, "" if says_yes else "alerts fire: Down")
