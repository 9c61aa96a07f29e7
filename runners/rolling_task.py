"""One step of one host of an operation: what it is, whom it takes, and how long it may.

Whoever takes it (`runners.rolling_host`) asks the host, its node, and the log through these.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from domain.event import Act
from domain.host import Host
from domain.log.unit import Unit
from domain.operation import HostProgress, Operation
from domain.rolling import seconds_between
from runners.steps import StepReport
from runners.systems import Commands

CONTACT_LIMIT_S = 60.0
"""A host that cannot be reached for so long when its turn comes has failed: nothing was sent."""
CANCEL_LIMIT_S = 60.0
"""What cannot be proved to have stopped so long after a cancellation is unknown."""
REFUSED_LIMIT_S = 300.0
"""A host that answers, but does not let us work on it any more, is given up after so long."""
SESSION_S = 20.0
"""One connection watches a step for so long; then others get their turn."""
POLL_FIRST_S = 0.1
POLL_MAX_S = 2.0
POLL_GROWTH = 1.3
RETRY_FIRST_S = 0.5
RETRY_MAX_S = 5.0
RETRY_GROWTH = 1.5
REBOOT_LOOK_S = 1.0
HEALTH_LOOK_S = 2.0
LOOK_AGAIN_S = 0.1
"""So long after a limit it is seen to be over."""
UNCORDON_LIMIT_S = 60.0
"""A node that could not be uncordoned for so long has failed; it is uncordoned later."""


class Contact(Protocol):
    """A host that answers; see `runners.steps`. Raises `LookFailed` once it does not any more."""

    async def start(self, step_id: str, commands: Commands) -> StepReport:
        """Run the commands, unless that was done before."""
        ...

    async def watch(self, step_id: str, offset: int = 0) -> StepReport:
        """How the step goes, and what it said beyond the offset."""
        ...

    async def cancel(self, step_id: str) -> StepReport:
        """End it."""
        ...

    async def clear(self, step_id: str) -> None:
        """Delete its output there."""
        ...

    async def reboot_needed(self) -> bool:
        """Whether what was installed takes a reboot to be used."""
        ...


class Reach(Protocol):
    """The way to a host. Raises `LookFailed` and `OtherHostKey`."""

    def __call__(self, host: Host) -> AbstractAsyncContextManager[Contact]:
        """A connection, closed at the end of the block."""
        ...


class Writes(Protocol):
    """Carries out commands on the log."""

    # Any: what the command makes.
    async def perform(self, act: Act, command: Callable[[Unit], Any]) -> Any:
        """Decide it, store it, and give its result."""
        ...


class Log(Protocol):
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
class Task:
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
