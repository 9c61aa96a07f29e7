"""At the start: is the log of the database file the one that was marked, or may it be another?"""

import os
import socket
from contextlib import suppress
from pathlib import Path

from domain.aggregates.log_history import NAME, LogHistory, WentBack
from domain.event import Act
from domain.log import recorder
from domain.log.continuity import POSITIONS_SKIPPED
from domain.log.engine import Engine, PersistenceError, Place
from domain.log.recorder import now
from domain.log.transaction import Transaction
from domain.log.tree import checkpoint
from domain.log.tree.note import WrongNote
from domain.log.unit import Unit
from domain.log.writer import Writer
from domain.refusal import Refusal
from runners.database.log_watch import signed_before
from runners.os_support.log_lines import ServiceLog
from runners.proof.mark import NAME_OF_FILE, Mark
from runners.proof.misfit import Misfit, held_against
from runners.proof.notary import Notary
from runners.service.prerequisites import EXIT_OTHER_LOG, CannotServe
from runners.settings.settings import Settings

ACTOR = "log"
SAY_TIMEOUT_S = 60.0


def mark_of(settings: Settings, engine: Engine, notary: Notary) -> Mark | None:
    """The mark beside a database file. For PostgreSQL, `log.json` has what is known of it."""
    if settings.database is not None:
        return None
    return Mark(Path(settings.data) / NAME_OF_FILE, engine, notary)


def sign_up_to(engine: Engine, notary: Notary, place: Place) -> str:
    """What the tree was when this entry was the newest, signed; "" where nobody can say."""
    with suppress(Refusal, PersistenceError), engine.snapshot() as tx:
        return notary.sign_up_to(tx, place)
    return ""


def must_be_accepted(
    settings: Settings,
    engine: Engine,
    mark: Mark | None,
    notary: Notary,
    known: Place,
    lines: ServiceLog,
) -> Misfit | None:
    """What is wrong with the log, where an operator goes on with it knowingly.

    `known` is its newest entry that is known. Raises `CannotServe` where nobody said so.
    """
    with engine.snapshot() as tx:
        if mark is not None:
            misfit = mark.misfit(tx, lines.write)
        else:
            misfit = _altered(settings, tx, notary, known, lines)
    if misfit is None:
        return None
    if settings.accept_log != misfit.name:
        raise CannotServe(
            f"The log of {settings.database_shown} is not the one that was served until"
            f" {misfit.marked.time}: {misfit.why}. Changes that were answered are lost, or it was"
            " altered. Put the right file back with all that belongs to it, or, to go on with this"
            f" one, start with --accept-log {misfit.name}",
            EXIT_OTHER_LOG,
        )
    lines.write(
        "log.loss_accepted", level="warning", reason=misfit.why, marked_at=misfit.marked.time
    )
    return misfit


def _altered(
    settings: Settings, tx: Transaction, notary: Notary, known: Place, lines: ServiceLog
) -> Misfit | None:
    """Of PostgreSQL: a log that lost what was known says so itself, and goes on; but one that has
    it has all before it as it was."""
    text = signed_before(settings) if settings.database is not None else ""
    if not text or not recorder.has(tx, known):
        return None
    try:
        read = checkpoint.read(text)
        return held_against(tx, read.checkpoint, read.note, notary.key(tx), lines.write)
    except (WrongNote, Refusal) as error:
        file = str(settings.known_log_file)
        lines.write("log.mark_unreadable", level="warning", file=file, reason=str(error))
        return None


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
