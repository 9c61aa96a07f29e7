"""At the start: is the log of the database file the one that was marked, or may it be another?"""

import os
import socket
from pathlib import Path

from domain.aggregates.log_history import NAME, LogHistory, WentBack
from domain.event import Act
from domain.log import recorder
from domain.log.continuity import POSITIONS_SKIPPED
from domain.log.engine import Engine
from domain.log.recorder import now
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal
from runners.os_support.log_lines import ServiceLog
from runners.proof.mark import NAME_OF_FILE, Mark, Misfit
from runners.proof.notary import Notary
from runners.service.prerequisites import EXIT_OTHER_LOG, CannotServe
from runners.settings.settings import Settings

ACTOR = "log"
SAY_TIMEOUT_S = 60.0


def mark_of(settings: Settings, engine: Engine, notary: Notary) -> Mark | None:
    """The mark beside a database file. PostgreSQL has none: `domain/log/continuity.py` does it."""
    if settings.database is not None:
        return None
    return Mark(Path(settings.data) / NAME_OF_FILE, engine, notary)


def must_be_accepted(
    settings: Settings, engine: Engine, mark: Mark | None, lines: ServiceLog
) -> Misfit | None:
    """What is wrong with the log, where an operator goes on with it knowingly.

    Raises `CannotServe` where nobody said so.
    """
    if mark is None:
        return None
    with engine.snapshot() as tx:
        misfit = mark.misfit(tx, lines.write)
    if misfit is None:
        return None
    if settings.accept_log != misfit.name:
        raise CannotServe(
            f"The log of {settings.database_file} is not the one that was served until"
            f" {misfit.marked.time}: {misfit.why}. Changes that were answered are lost, or it was"
            " altered. Put the right file back with all that belongs to it, or, to go on with this"
            f" one, start with --accept-log {misfit.name}",
            EXIT_OTHER_LOG,
        )
    lines.write(
        "log.loss_accepted", level="warning", reason=misfit.why, marked_at=misfit.marked.time
    )
    return misfit


def say_that_it_went_back(writer: Writer, misfit: Misfit) -> None:
    """First of all, in the log; no position of what is lost is given to anything else."""
    marked, found = misfit.marked, misfit.found
    end = max(marked.position, found.position) + POSITIONS_SKIPPED
    event = WentBack(
        f"{socket.gethostname()}/{os.getpid()}",
        marked.position,
        marked.time.rstrip("Z"),
        found.position,
        found.recorded_at,
        0,
        end,
        max(0, marked.size - misfit.size),
        [],
        "",
        "",
    )

    def say(unit: Unit) -> None:
        recorder.skip(unit.tx, end)
        unit.log_history().go_back(event)

    try:
        act = Act(ACTOR, f"{LogHistory.KIND}/{NAME}", now())
        writer.submit(act, say).result(SAY_TIMEOUT_S)
    except (Refusal, TimeoutError) as refused:
        raise CannotServe(f"the log cannot say that it went back: {refused}") from None
