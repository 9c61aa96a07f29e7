"""Gates that say yes and no as they like, and take their time for it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection

GATE = "alerts"
POLICY_GATE = "pressure"


class PlayedGates:
    """What was asked is kept: in which second the answer came, of which gate, and whether yes."""

    def __init__(
        self, chance: random.Random, time: Callable[[], float], crash: Callable[[], Awaitable[None]]
    ) -> None:
        self._chance = chance
        self._time = time
        self._crash = crash
        self.answers: list[tuple[float, str, bool]] = []

    @property
    def name(self) -> str:
        """What an operation is told to ask; "" for none."""
        return GATE if self._chance.random() < 0.25 else ""

    async def ask(self, names: Collection[str]) -> dict[str, str]:
        """Yes, or an alert."""
        await asyncio.sleep(self._chance.uniform(0.0, 5.0))
        await self._crash()
        verdicts = {}
        for name in names:
            says_yes = self._chance.random() < 0.7
            self.answers.append((self._time(), name, says_yes))
            verdicts[name] = "" if says_yes else "alerts fire: Down"
        return verdicts
