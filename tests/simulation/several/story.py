"""Stories with several processes on one log: killed, frozen, cut off from it, and slow."""

import asyncio

from tests.simulation.people import People
from tests.simulation.several.process import Process
from tests.simulation.several.stage import FAULT_S, SharedStage
from tests.simulation.stage import Told
from tests.simulation.story import LONGEST_S

AFTERWARDS_S = FAULT_S + 30.0
"""How long is looked on when all is over: whoever wakes up then must do no harm."""


class SeveralStory(SharedStage):
    """A story that several processes have a part in."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.processes: list[Process] = []

    def tell_of_several(self) -> Told:
        """From the request to the end, and a while longer."""
        self.begin()
        clock = self.conductor.clock
        try:
            # The first of all: what happens there at the same moment happens before the rest.
            self.elsewhere = self.conductor.begin(asyncio.sleep(0))
            for _ in range(self.chance.randrange(2, 5)):
                self._start_process()
            for running in (*People(self).acts(), self._befall()):
                self.conductor.begin(running)
            self.conductor.play(
                lambda: self.is_over or clock.seconds > LONGEST_S,
                LONGEST_S + FAULT_S,
            )
            over_at = clock.seconds
            end = over_at + AFTERWARDS_S
            self.conductor.play(lambda: clock.seconds >= end, end + LONGEST_S)
        finally:
            self.conductor.close()
        assert not self.trespasses, self.trespasses
        return self.ended(over_at)

    def _start_process(self) -> None:
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
                    self.killed.add(process.name)
                    self.crashes += 1
                    await asyncio.sleep(chance.uniform(0.1, FAULT_S))
                    self._start_process()
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
