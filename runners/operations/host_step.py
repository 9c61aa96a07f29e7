"""One step of one host of an operation, with its limits, and what is observed of the host."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.aggregates.host import Host
from domain.aggregates.host_progress import HostProgress
from domain.aggregates.operation import Operation
from runners.scheduling.backoff import Pauses
from runners.scheduling.elapsed import Elapsed

CONTACT_LIMIT_S = 60.0
"""A host that cannot be reached for so long when its step begins has failed: nothing was sent."""
CANCEL_LIMIT_S = 60.0
"""A step that has not provably stopped so long after it was cancelled is unknown."""
REFUSED_LIMIT_S = 300.0
"""A host that answers, but does not let us log in any more, is given up after so long."""
TELL_EVERY_S = 10.0
"""What a host is waited for is recorded at once, and the next reason not sooner than this: one that
comes and goes fills no log."""
CONTACT_PAUSES = Pauses(0.5, 5.0, growth=1.5)
"""Before a host that could not be reached is contacted again."""
HEALTH_LOOK_S = 2.0
AFTER_LIMIT_S = 0.1
"""So long after its limit a step is looked at once more, and then fails."""
UNCORDON_LIMIT_S = 60.0
"""A node that could not be uncordoned for so long has failed; it is uncordoned later."""


class EventLog(Protocol):
    """What the log says; see `runners.service.fleet_reader`."""

    async def unfinished(self) -> Sequence[str]: ...

    async def operation(self, name: str) -> Operation: ...

    async def load(self, address: str) -> Host: ...

    async def output(self, operation: str, address: str) -> bytes: ...


@dataclass(frozen=True)
class HostStep:
    """One step of one host, as of the events when it was loaded."""

    operation: Operation
    host: Host
    progress: HostProgress
    cancel_at: str
    """When the operation was cancelled; "" where it was not."""
    passed_s: Callable[[str], float]
    """Seconds since a time of an event; see `Observed.passed_s`."""

    @property
    def key(self) -> tuple[str, str]:
        """The operation's id and the host's address."""
        return self.operation.name, self.host.name

    @property
    def step_id(self) -> str:
        """The id by which the host knows the step."""
        return f"{self.operation.name}-{self.progress.step}"

    @property
    def cancelling(self) -> bool:
        """Whether the step is to be stopped."""
        return bool(self.cancel_at)

    @property
    def is_rebooting(self) -> bool:
        """Whether a reboot was requested, which cannot be undone."""
        return self.progress.step == "reboot" and bool(self.progress.boot_id)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the step began, by now."""
        return self.passed_s(self.progress.step_at)

    @property
    def cancelled_for_s(self) -> float:
        """Seconds since the operation was cancelled, by now."""
        return self.passed_s(self.cancel_at)

    @property
    def healthy_for_s(self) -> float:
        """How long the host has to be healthy without a break at the end."""
        return self.operation.request.options.healthy_for_s

    @property
    def limit_s(self) -> float:
        """How long the step may take."""
        match self.progress.step:
            case "drain":
                return self.operation.drain_timeout_s
            case "uncordon":
                return UNCORDON_LIMIT_S
            case "health":
                return self.operation.step_timeout_s + self.healthy_for_s
            case _:
                return self.operation.step_timeout_s

    @property
    def is_late(self) -> bool:
        """Whether the step has taken too long by now."""
        return self.elapsed_s > self.limit_s


@dataclass
class Observed:
    """What was observed of a host between ticks: where it is lost, limits begin anew."""

    failed_contacts: int = 0
    """How many contacts in a row have failed."""
    answered: bool = False
    """Whether the last contact has not failed."""
    told_at: float = -math.inf
    """The loop's time at which it was recorded what the host is waited for."""
    silent_since: float | None = None
    """The loop's time of the first of them, while the host's node is drained."""
    healthy_since: float | None = None
    """The loop's time since which the host has been healthy, in the boot `healthy_boot_id`."""
    healthy_boot_id: str = ""
    healthy_at: float = 0.0
    """The loop's time at which it was healthy last."""
    elapsed: Elapsed = field(default_factory=Elapsed)

    def silent_for_s(self) -> float:
        """How long contacts have failed, from the first call of this on."""
        clock = asyncio.get_running_loop().time()
        if self.silent_since is None:
            self.silent_since = clock
        return clock - self.silent_since

    def passed_s(self, since: str, at: str) -> float:
        """Seconds between an event and now, which `at` is by the machine's clock."""
        return self.elapsed.seconds(since, since, at)
