"""Finishes what nobody goes on with: large clusters whose removal had started.

Whoever deletes a cluster removes it batch by batch, and may die, or meet a full disk, between two
of them. The log knows what is half-removed; it is finished here, whichever process began it.
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
    """Until cancelled: finish what was begun before the start, and what is left lying later.

    `half_removed()` gives the names of clusters whose removal has started. One that somebody is
    still busy with is gone the sooner: each batch is decided on what is left by then.
    """
    while True:
        try:
            for name in await half_removed():
                if ownership.holds(f"cluster/{name}"):
                    await _finish(writer, name, now)
        except PersistenceError:
            pass  # the database is away: the next look finds the same
        await asyncio.sleep(LOOK_EVERY_S)


async def _finish(writer: Writer, name: str, now: Callable[[], str]) -> None:
    act = Act(ACTOR, f"cluster/{name}", now())
    gone = False
    while not gone:
        try:
            gone = await writer.perform(act, partial(fleet_commands.go_on_removing, name=name))
        except Refusal:  # the database is away, or its disk is full
            await asyncio.sleep(RETRY_PAUSE_S)
