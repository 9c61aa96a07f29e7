"""What process managers write to: the event log, and the service log."""

from collections.abc import Callable
from typing import Any, Protocol

from domain.event import Act
from domain.log.unit import Unit
from runners.os_support.log_lines import Level


class Writes(Protocol):
    """Carries out commands on the log."""

    # Any: what the command makes.
    async def perform(self, act: Act, command: Callable[[Unit], Any]) -> Any:
        """Decide it, store it, and give its result."""
        ...


class ServiceLogWrite(Protocol):
    """Where log lines go."""

    def __call__(self, event: str, /, level: Level = "info", **fields: object) -> None:
        """Write a line: what happened, and the fields that tell more."""
        ...
