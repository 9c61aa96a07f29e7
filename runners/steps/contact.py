"""What the drivers of steps need of a host: a session that runs steps, and a connector."""

import asyncio
import math
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from domain.aggregates.host import Host
from runners.scheduling.backoff import Pauses
from runners.steps.detached_step import StepReport
from runners.steps.system_commands import Commands

SESSION_S = 20.0
"""One session watches a step for so long; then other hosts get its slot."""
POLL_PAUSES = Pauses(0.1, 2.0, growth=1.3)
"""Between two looks at a step that runs."""
NEWS_S = 10
"""A host is asked how a step goes for so long: it answers at once where there is news."""


def news_s(until: float) -> int:
    """How long a host is asked for news within a session that ends then, by the loop's time."""
    return max(0, min(NEWS_S, math.floor(until - asyncio.get_running_loop().time())))


class RebootNeed(NamedTuple):
    """Whether a host needs a reboot; `unsure`: why it cannot tell, "" where it can."""

    needed: bool
    unsure: str = ""


class StepSession(Protocol):
    """A session that runs steps; see `runners.steps.ssh_contact`. Raises `HostUnusable`."""

    async def start(self, step_id: str, commands: Commands) -> StepReport: ...

    async def watch(self, step_id: str, offset: int = 0, wait_s: int = 0) -> StepReport: ...

    async def cancel(self, step_id: str) -> StepReport: ...

    async def clear(self, step_id: str) -> None: ...

    async def reboot_needed(self) -> RebootNeed: ...


class Connector(Protocol):
    """Connects to hosts. Raises `HostUnusable` and `HostKeyChanged`."""

    def __call__(self, host: Host) -> AbstractAsyncContextManager[StepSession]:
        """A session, closed at the end of the block."""
        ...
