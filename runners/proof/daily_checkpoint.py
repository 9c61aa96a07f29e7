"""Has the log say once a day what its tree is: what was altered is found up to the last such event,
also where the tree was made anew to fit."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from domain.event import Act
from domain.log.engine import PersistenceError
from domain.log.unit import Unit
from domain.refusal import Refusal
from runners.leases.ownership import SINGLE_PROCESS, Ownership
from runners.proof.notary import Notary

ACTOR = "runner:notary"
KEY = "notary"
LOOK_EVERY_S = 60.0


class Writer(Protocol):
    """The part of `domain.log.writer.Writer` that is needed here."""

    def perform(self, act: Act, command: Callable[[Unit], Any]) -> Awaitable[Any]:
        """Have a command carried out."""
        ...


async def run(
    notary: Notary,
    writer: Writer,
    now: Callable[[], str],
    ownership: Ownership = SINGLE_PROCESS,
) -> None:
    """Look again and again, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if not ownership.holds(KEY):
            continue
        command = ownership.fenced(KEY, notary.log_checkpoint)
        # The database is away, or the tree is being made: another time.
        with suppress(Refusal, PersistenceError):
            await writer.perform(Act(ACTOR, KEY, now()), command)
