"""One step of one host of an operation: what it is, whom it takes, and how long it may.

Whoever takes it (`runners.operations.host_driver`) asks the host, its node, and the log through
these.
"""

from dataclasses import dataclass
from typing import Protocol

from domain.aggregates.host import Host
from domain.aggregates.operation import HostProgress, Operation
from domain.aggregates.rolling_policy import seconds_between

CONTACT_LIMIT_S = 60.0
"""A host that cannot be reached for so long when its turn comes has failed: nothing was sent."""
CANCEL_LIMIT_S = 60.0
"""What cannot be proved to have stopped so long after a cancellation is unknown."""
REFUSED_LIMIT_S = 300.0
"""A host that answers, but does not let us work on it any more, is given up after so long."""
RETRY_FIRST_S = 0.5
RETRY_MAX_S = 5.0
RETRY_GROWTH = 1.5
REBOOT_LOOK_S = 1.0
HEALTH_LOOK_S = 2.0
LOOK_AGAIN_S = 0.1
"""So long after a limit it is seen to be over."""
UNCORDON_LIMIT_S = 60.0
"""A node that could not be uncordoned for so long has failed; it is uncordoned later."""


class EventLog(Protocol):
    """What the log says, and what is kept beside it."""

    async def operation(self, name: str) -> Operation:
        """One operation as it is now."""
        ...

    async def load(self, address: str) -> Host:
        """One host as it is now."""
        ...

    async def output(self, operation: str, address: str) -> bytes:
        """What is kept of a host's output."""
        ...


@dataclass(frozen=True)
class HostStep:
    """One step of one host, as the log has it."""

    operation: Operation
    host: Host
    progress: HostProgress
    at: str
    cancel_at: str
    """When it was asked to stop; "" where it was not."""

    @property
    def key(self) -> tuple[str, str]:
        """Of what is remembered for politeness only."""
        return self.operation.name, self.host.name

    @property
    def step_id(self) -> str:
        """Under which the host knows it."""
        return f"{self.operation.name}-{self.progress.step}"

    @property
    def cancelling(self) -> bool:
        """Whether it is to be stopped."""
        return bool(self.cancel_at)

    @property
    def is_rebooting(self) -> bool:
        """Whether a reboot was requested, which cannot be called back."""
        return self.progress.step == "reboot" and bool(self.progress.boot_id)

    @property
    def elapsed_s(self) -> float:
        """Since the step began."""
        return seconds_between(self.progress.step_at, self.at)

    @property
    def cancelled_for_s(self) -> float:
        """Since it was asked to stop."""
        return seconds_between(self.cancel_at, self.at)

    @property
    def healthy_for_s(self) -> float:
        """How long the host has to answer without a break at the end."""
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
