"""Has everybody in this process forget what they remember of a log that went back, and says so.

What the log says then is the truth: work that was lost is begun anew where the log has it, and a
step that a host has already is found there (`runners/steps/detached_step.py`).
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from domain.event import Act, Recorded
from domain.log.continuity import Change, Continuity, Known, Loss
from domain.log.engine import LogWentBack, Place, Server
from domain.log.follower import Pull, after
from domain.log.recorder import now
from domain.log.transaction import NO_SERVER, Transaction
from domain.log.unit import Unit
from domain.refusal import Refusal
from projections.reads import Reads
from runners.settings.settings import Settings

KEEP_EVERY_S = 5.0
"""How often what is known of the log is kept for the next process on this data directory."""
HEADS_KEPT = 400
CHANGES_KEPT = 1000
"""So much of it."""
LINES_MAX = 1000
"""So many lost changes are written to the service's log, one a line."""


class Writer(Protocol):
    """The part of `domain.log.writer.Writer` that is needed here."""

    def submit(self, act: Act, command: Callable[[Unit], None]) -> "Future[Any]":
        """Queue a command."""
        ...


class LogWatch:
    """`forget` is called on the event loop's thread with each loss, in order.

    `sign` gives what the log's tree was when an entry was the newest, signed: `log.json` has it
    beside that entry, so that the next start finds what was altered before it, too.
    """

    def __init__(
        self,
        continuity: Continuity,
        file: Path,
        log: Callable[..., None],
        sign: Callable[[Place], str] = lambda place: "",
    ) -> None:
        self.continuity = continuity
        self.forget: list[Callable[[Loss], None]] = []
        self.writer: Writer | None = None
        self._file = file
        self._sign = sign
        self._kept: tuple[Place, Server | None] = (continuity.known, continuity.server)
        self._is_signed = False
        self._found_loss = False
        self._log = log
        self._asked: Future[Any] | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def is_under_way(self) -> bool:
        """Whether somebody found that the log went back, and it is not said in the log yet."""
        return self._found_loss and self._is_asked

    @property
    def _is_asked(self) -> bool:
        return self._asked is not None and not self._asked.done()

    def pull(self, reads: Reads) -> Pull:
        """Read the log for those who follow it, as long as it is the one that is known."""

        async def pull(position: int) -> Sequence[Recorded]:
            try:
                found = await reads.fresh(self._read, position)
            except LogWentBack:
                self._have_it_noticed(loss=True)
                raise
            if self.continuity.has_moved:
                self._have_it_noticed(loss=False)
            return found

        return pull

    def on_loss(self, loss: Loss) -> None:
        """Say what is lost. On the writer's thread, before anybody is told of what came then."""
        event = loss.event("")
        self._log(
            "log.went_back",
            level="warning",
            known=loss.known.position,
            known_recorded_at=loss.known.recorded_at,
            found=loss.found.position,
            found_recorded_at=loss.found.recorded_at,
            common=loss.common,
            server_before=event.known_server,
            server=event.server,
            changes_lost=len(loss.changes),
        )
        for change in loss.changes[:LINES_MAX]:
            self._log(
                "log.change_lost",
                level="warning",
                position=change.position,
                recorded_at=change.recorded_at,
                type=change.type,
                subject=change.subject,
                actor=change.actor,
            )
        self._loop.call_soon_threadsafe(self._forget, loss)

    async def run(self) -> None:
        """Keep what is known of the log, until cancelled."""
        try:
            while True:
                await asyncio.sleep(KEEP_EVERY_S)
                await asyncio.to_thread(self.keep)
        finally:
            await asyncio.to_thread(self.keep)

    def keep(self) -> None:
        """Write down what is known, where that has changed."""
        known = (self.continuity.known, self.continuity.server)
        if self.continuity.has_moved or known[1] in (None, NO_SERVER):
            return
        has_come_on = known != self._kept
        if not has_come_on and self._is_signed:
            return
        kept = self.continuity.kept(HEADS_KEPT, CHANGES_KEPT)
        # Nobody can sign while the tree is being made: at a later look, though nothing happens.
        signed = self._sign(kept.heads[-1])
        if has_come_on or signed:
            with suppress(OSError):  # the next process knows less, and this one says so elsewhere
                _write(self._file, kept, signed)
                self._kept, self._is_signed = known, bool(signed)

    def _read(self, tx: Transaction, position: int) -> Sequence[Recorded]:
        self.continuity.follow(tx)
        return after(tx, position)

    def _have_it_noticed(self, *, loss: bool) -> None:
        """Any command will do: the writer compares before it decides one."""
        if self.writer is not None and not self._is_asked:
            self._found_loss = loss
            with suppress(Refusal):  # the service is stopping
                self._asked = self.writer.submit(Act("log", "log/main", now()), lambda unit: None)

    def _forget(self, loss: Loss) -> None:
        for forget in self.forget:
            forget(loss)


def known_log(settings: Settings) -> Known:
    """What an earlier process knew of the log; of a file nothing is kept, it has no servers."""
    return Known() if settings.database is None else known_before(settings.known_log_file)


def known_before(file: Path) -> Known:
    """What the process before on this data directory knew of the log; nothing where none says."""
    try:
        kept = json.loads(file.read_bytes())
        head = Place(int(kept["position"]), str(kept["recorded_at"]), int(kept["append_id"]))
        # Older versions kept the head alone.
        heads = [Place(int(p), str(at), int(id_)) for p, at, id_ in kept.get("heads", ())]
        changes = [
            Change(int(position), str(at), str(subject), int(version), str(type_), str(actor))
            for position, at, subject, version, type_, actor in kept.get("changes", ())
        ]
        server = Server(int(kept["system"]), int(kept["timeline"]))
        return Known(heads if heads[-1:] == [head] else [head], server, changes)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return Known()


def signed_before(settings: Settings) -> str:
    """What the tree was up to the newest entry that is known, signed; "" where none says."""
    try:
        return str(json.loads(settings.known_log_file.read_bytes())["signed"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _write(file: Path, known: Known, signed: str) -> None:
    kept = {
        **known.heads[-1]._asdict(),
        **(known.server or NO_SERVER)._asdict(),
        "signed": signed,
        "heads": known.heads,
        "changes": known.changes,
    }
    written = file.with_suffix(".new")
    written.write_text(json.dumps(kept))
    written.replace(file)
