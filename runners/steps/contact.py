"""What a host that answers can be asked to do with steps, and the way to it."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from domain.aggregates.host import Host
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import Commands


class StepSession(Protocol):
    """A host that answers; see `runners.steps.detached_step`. Raises `HostUnusable` once it does
    not any more."""

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


class Connector(Protocol):
    """The way to a host. Raises `HostUnusable` and `HostKeyChanged`."""

    def __call__(self, host: Host) -> AbstractAsyncContextManager[StepSession]:
        """A connection, closed at the end of the block."""
        ...
