"""What process managers write to: the event log, and the service log."""

from collections.abc import Callable
from typing import Any, Protocol

from domain.event import Act
from domain.log.unit import Unit
from runners.os_support.log_lines import Level


class Writes(Protocol):
    """Decides commands, stores their events, and gives their results; see `domain.log.writer`."""

    # Any: what the command makes.
    async def perform(self, act: Act, command: Callable[[Unit], Any]) -> Any: ...


class ServiceLogWrite(Protocol):
    """Writes a line of the service's log: the name of what happened, and further fields."""

    def __call__(self, event: str, /, level: Level = "info", **fields: object) -> None: ...
