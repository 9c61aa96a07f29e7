"""What several processes share: one log, one table of leases, and what none of them may do."""

from itertools import count

from runners.leases.ownership import shard_of
from tests.runners.leases.played_leases import PlayedTable
from tests.simulation.several.conductor import Conductor, ProcessLoop
from tests.simulation.stage import Stage
from tests.simulation.world import CALM

LEASE_S = 10.0
FAULT_S = 3 * LEASE_S
"""A fault of a process lasts so long at most."""


class SharedStage(Stage):
    """A stage for several processes."""

    pause_s_max = FAULT_S

    elsewhere: ProcessLoop
    """Where that goes on which no process can take back; begun with the story."""

    def __init__(self, seed: int) -> None:
        self.conductor = Conductor()
        super().__init__(seed, self.conductor.clock)
        if self.chance.random() < 0.5:
            self.world.weather = CALM  # so that nothing but the processes is at fault
        self.crash_rate = 0.0  # what dies here is a whole process
        self.table = PlayedTable(self.conductor.clock.time, LEASE_S)
        self.numbers = count()
        self.one_machine = self.chance.random() < 0.3
        self.killed: set[str] = set()
        """Names of processes that are no more."""
        self.trespasses: list[str] = []
        self.freezes = self.cuts = 0
        self.freeze_rate = self.chance.choice([0.0, 0.005, 0.02])
        self.calm_s = self.chance.choice([3.0, 10.0, 30.0])

    async def calm(self) -> None:
        """Where a lone service would die: here it is frozen or killed from outside."""

    def is_seen_to_be_dead(self, name: str) -> bool:
        """Whether somebody on the same machine can see that a process is gone."""
        return self.one_machine and name in self.killed

    def holder_of(self, process: str, address: str) -> str:
        """Whoever holds a host, when a process sends something there: it should be that one."""
        holder = self.table.holder[shard_of(address)]
        if not holder.startswith(f"{process}/"):
            self.trespasses.append(f"{process} sends something to {address} of {holder!r}")
        return holder

    def must_hold(self, process: str, address: str) -> None:
        """Whoever says in the log that it is going to act on a host holds it in that moment."""
        if self.table.until.get(self.holder_of(process, address), 0.0) <= self.table.clock():
            self.trespasses.append(f"{process} wants {address}, and its lease is over")

    def must_be_in_time(self, sender: str, address: str) -> None:
        """What was sent under a lease may arrive while that lasts, and not any later.

        Whoever sent it may have let go of the host meanwhile; then the step's guard is met.
        """
        if self.table.last_until.get(sender, 0.0) <= self.table.clock():
            self.trespasses.append(f"too late on {address}, sent by {sender!r}")
