"""Finishes the removal of large clusters where the process that began it has stopped.

A cluster is removed batch by batch, and the process may die, or meet a full disk, between two of
them. The log knows which clusters are half-removed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from domain.commands import fleet_commands
from domain.event import Act
from domain.log.engine import PersistenceError
from domain.log.writer import Writer
from domain.refusal import Refusal
from runners.leases.ownership import SINGLE_PROCESS, Ownership

ACTOR = "runner:removals"
LOOK_EVERY_S = 2.0
RETRY_PAUSE_S = 1.0
"""Pause before the next try where the log cannot take a batch."""


async def run(
    writer: Writer,
    half_removed: Callable[[], Awaitable[Sequence[str]]],
    now: Callable[[], str],
    ownership: Ownership = SINGLE_PROCESS,
) -> None:
    """Until cancelled, finish removals. `half_removed()` gives the clusters whose removal began.

    A removal that a request is still busy with may be finished by both: each batch is decided on
    the hosts that are left.
    """
    while True:
        try:
            for name in await half_removed():
                if ownership.holds(f"cluster/{name}"):
                    await _finish(writer, name, now)
        except PersistenceError:
            pass  # the database is away: the next round finds the same clusters
        await asyncio.sleep(LOOK_EVERY_S)


async def _finish(writer: Writer, name: str, now: Callable[[], str]) -> None:
    act = Act(ACTOR, f"cluster/{name}", now())
    gone = False
    while not gone:
        try:
            gone = await writer.perform(act, partial(fleet_commands.go_on_removing, name=name))
        except Refusal:  # the database is away, or its disk is full
            await asyncio.sleep(RETRY_PAUSE_S)
