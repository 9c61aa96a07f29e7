"""Whether every part of the service can do its work: what `/readyz` says, and what to do then."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from domain.log.clock import LogClock
from domain.log.engine import PersistenceError, Place, TakesNoWrites, Unusable
from domain.log.follower import Follower
from domain.log.writer import Writer
from domain.refusal import Refusal
from projections.fleet_figures import FleetFigures
from projections.rebuilding.live_tables import BeingBuilt, LiveTables
from runners.database.log_watch import LogWatch
from runners.database.tree_builder import TreeBuilder
from runners.leases.leases import Leases
from runners.observability.database_probe import DatabaseProbe
from runners.os_support.directory_lock import DataLock
from runners.proof.mark import Mark
from runners.proof.misfit import Misfit
from runners.security.accounts import Accounts
from runners.security.vault import WrongMasterKey, kept_master_key
from web.resources.health import Part

FREE_BYTES_MIN = 32 * 1024 * 1024
"""Less free space than this in the data directory is too little to go on with."""
FULL_FOR_S = 60.0
"""How long a disk counts as full after it said so; where nothing is written nobody else tells."""
REFUSED_FOR_S = 30.0
"""Likewise how long a database that refused a change counts as one that does."""
BEHIND_FOR_S = 10.0
"""How long a runner may stand still behind the head of the log."""

ACTIONS = {
    "database.away": "Start the database, or mend the way to it; the service goes on by itself."
    " Where its file was moved or replaced, restart the service.",
    "database.refuses": "Give the service's account what it needs; it goes on by itself. Where"
    " tables are gone, restart it: it makes them anew.",
    "database.read_only": "Let the server take writes, or promote its standby; the service goes"
    " on by itself.",
    "log.other": "Stop the wrong server, or start with --accept-log as the reason says.",
    "log.went_back": "Wait: the service goes on by itself with what the database has.",
    "log.loss_accepted": "See what is lost by the event log.went_back, then restart without"
    " --accept-log.",
    "log.mark_unwritten": "Let the service write log.mark beside the database, where it says why.",
    "log.tree_broken": "Look with commissaire log check; somebody changed the tables of the log."
    " Where the frontier is gone, restart the service: it makes the tree anew.",
    "projection.stopped": "Start a version of Commissaire that knows this event; nothing is lost.",
    "projection.being_built": "Wait: the service answers by itself as soon as it is done.",
    "projection.behind": "Restart the service: it catches up with the log when it starts.",
    "service.stopping": "Ask another process of the service; this one was told to stop.",
    "writer.ended": "Restart the service, and report what its log says: this is a defect.",
    "runner.stopped": "Start a version of Commissaire that knows this event; nothing is lost.",
    "runner.ended": "Restart the service, and report what its log says: this is a defect.",
    "runner.behind": "See that the database answers; restart the service if it stays so.",
    "runner.held_up": "Mend what the reason names; it begins again by itself.",
    "clock.behind": "Set the clock; if it is right, the log's times begin anew by themselves.",
    "clock.ahead": "Set the clock; if it is right, the next start finds newer entries.",
    "leases.lost": "See that the database answers; the service goes on by itself.",
    "data_lock.unchecked": "Put the data directory back, or remove what is in place of its"
    " serve.lock; the service goes on by itself.",
    "vault.key_missing": "Put the master key back from its copy before the next start.",
    "vault.key_unusable": "Put the master key back from its copy before the next start.",
    "users.broken": "Mend the users file, or put it back from its copy; it is read at once.",
    "users.none": "Add a user: commissaire user add NAME.",
    "tokens.broken": "Mend the tokens file, or put it back from its copy; it is read at once.",
    "disk.low": "Make room in the data directory; the service goes on by itself.",
    "disk.full": "Make room where the database is; the service goes on by itself.",
}
"""What a person can do, for each kind of reason that there is."""


class Fault(NamedTuple):
    """Why a part is not ready, or, where it only `warns`, what a person should look at."""

    kind: str
    sentence: str
    warns: bool = False


Check = Callable[[], Awaitable[Fault | None]]


class Readiness:
    """Asks all parts side by side."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)

    async def __call__(self) -> Sequence[Part]:
        """Every part, in the order in which they were given."""
        faults = await asyncio.gather(*(check() for check in self._checks.values()))
        return [
            Part(name, fault.kind, fault.sentence, ACTIONS[fault.kind], fault.warns)
            if fault
            else Part(name)
            for name, fault in zip(self._checks, faults, strict=True)
        ]


def database(
    probe: DatabaseProbe,
    live_tables: LiveTables,
    writer: Writer,
    clock: Callable[[], float] = time.monotonic,
) -> Check:
    """The database answers and takes changes, and the read models say all that the log says."""

    async def check() -> Fault | None:
        try:
            found, _ = await asyncio.gather(probe.figures(), probe.must_be_usable())
        except PersistenceError as error:
            # What is being built may be no table that could be asked yet.
            return _halted(live_tables) or _refusal(error)
        if fault := _halted(live_tables) or _behind(found, live_tables):
            return fault
        at, refused = writer.refused or (0.0, None)
        return _refusal(refused) if refused and clock() - at < REFUSED_FOR_S else None

    return check


def _refusal(error: PersistenceError) -> Fault:
    if isinstance(error, Unusable):
        return Fault("database.refuses", f"The database refuses what it is asked: {error}.")
    if isinstance(error, TakesNoWrites):
        return Fault("database.read_only", f"The database takes no writes: {error}.")
    return Fault("database.away", f"The database does not answer: {str(error).rstrip('.')}.")


def _halted(live_tables: LiveTables) -> Fault | None:
    for stopped in list(live_tables.stopped.values()):
        if isinstance(stopped, BeingBuilt):
            return Fault("projection.being_built", str(stopped))
        return Fault("projection.stopped", str(stopped))
    for why in list(live_tables.given_up.values()):
        return Fault("projection.stopped", why)
    return None


def _behind(found: FleetFigures, live_tables: LiveTables) -> Fault | None:
    for projection in live_tables.projections:
        position = found.positions.get(projection.name, 0)
        if position < found.head:
            sentence = (
                f"The read model of {projection.name} is at position {position} of the log, which"
                f" goes to {found.head}."
            )
            return Fault("projection.behind", sentence)
    return None


def log(watch: LogWatch) -> Check:
    """The log is the one that was known."""

    async def check() -> Fault | None:
        if refused := watch.continuity.refused:
            return Fault("log.other", str(refused))
        if watch.is_under_way:
            return Fault("log.went_back", "The log went back: what is remembered is forgotten.")
        return None

    return check


def clock(of_log: LogClock, head: Place) -> Check:
    """The clock is of the time that the log was of when the service started."""

    async def check() -> Fault | None:
        how, sentence = of_log.why_away(head)
        if how == "behind":
            return Fault("clock.behind", sentence, warns=True)
        return Fault("clock.ahead", sentence, warns=True) if how else None

    return check


async def stopping() -> Fault | None:
    """The service was told to stop."""
    return Fault("service.stopping", "The service stops in a moment.")


def writing(writer: Writer) -> Check:
    """Commands are carried out."""

    async def check() -> Fault | None:
        if writer.is_running:
            return None
        return Fault("writer.ended", "Nothing carries out commands any more.")

    return check


def runner(
    name: str,
    task: "asyncio.Task[None]",
    probe: DatabaseProbe,
    follower: Follower | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Check:
    """A process manager runs, and hears what the log says."""
    seen, since = -1, clock()

    async def check() -> Fault | None:
        nonlocal seen, since
        if follower is not None and follower.stopped is not None:
            return Fault("runner.stopped", f"The runner {name} has stopped: {follower.stopped}")
        if task.done():
            return Fault("runner.ended", f"The runner {name} has ended.")
        if follower is None:
            return None
        try:
            head = (await probe.figures()).head
        except PersistenceError:
            return None  # the database's own affair
        position = follower.position
        if position != seen or position >= head:
            seen, since = position, clock()
        if clock() - since < BEHIND_FOR_S:
            return None
        sentence = f"The runner {name} stands at position {position} of the log, not at {head}."
        return Fault("runner.behind", sentence)

    return check


def data_lock(lock: DataLock, running: Check) -> Check:
    """No other process can serve the data directory."""

    async def check() -> Fault | None:
        if lock.unchecked:
            why = f"The lock of the data directory cannot be held: {lock.unchecked}."
            return Fault("data_lock.unchecked", why, warns=True)
        return await running()

    return check


def leases(held: Leases, running: Check) -> Check:
    """This process may work on hosts, though there may be more processes than work."""

    async def check() -> Fault | None:
        if held.refused is not None and not held.resigned:
            return _refusal(held.refused)
        if not held.is_member and not held.resigned:
            return Fault("leases.lost", "It works on no host: its lease could not be renewed.")
        return await running()

    return check


def accepted(misfit: Misfit, as_ever: Check) -> Check:
    """As `log`, where this process went on with a log that is not the one that was marked."""

    async def check() -> Fault | None:
        why = f"An operator went on with another log than the one that was marked: {misfit.why}."
        return await as_ever() or Fault("log.loss_accepted", why, warns=True)

    return check


def tree(builder: TreeBuilder, mark: Mark | None, running: Check) -> Check:
    """Nothing is wrong with the Merkle tree of the log, as far as whoever adds to it can see."""

    async def check() -> Fault | None:
        if mark is not None and mark.unwritten:
            why = f"The mark of the log cannot be written: {mark.unwritten}."
            return Fault("log.mark_unwritten", why, warns=True)
        if builder.broken:
            why = f"The tree of the log cannot be gone on with: {builder.broken}."
            return Fault("log.tree_broken", why, warns=True)
        return await running()

    return check


def master_key(path: Path, in_use: bytes) -> Check:
    """The file of the master key has the key that is in use: without it no start succeeds."""

    def look() -> Fault | None:
        try:
            kept = kept_master_key(path)
        except FileNotFoundError:
            return Fault("vault.key_missing", f"The master key {path} is not there any more.")
        except WrongMasterKey as wrong:
            return Fault("vault.key_unusable", f"{wrong}.")
        if kept != in_use:
            return Fault("vault.key_unusable", f"{path} is not the master key that is in use.")
        return None

    return lambda: asyncio.to_thread(look)


def users(accounts: Accounts) -> Check:
    """Somebody can log in."""

    async def check() -> Fault | None:
        file = accounts.users_file
        if file is not None and (broken := file.broken):
            return Fault("users.broken", broken)
        with suppress(Refusal):  # the database's own affair
            await accounts.refresh()
            if not accounts.users:
                return Fault("users.none", "There are no users.")
        return None

    return check


def tokens(accounts: Accounts) -> Check:
    """What is kept of tokens in a file can be read; none is as good."""

    async def check() -> Fault | None:
        file = accounts.tokens_file
        broken = file.broken if file is not None else ""
        return Fault("tokens.broken", broken) if broken else None

    return check


def disk(data: Path, writer: Writer, clock: Callable[[], float] = time.monotonic) -> Check:
    """There is room for what is to be written."""

    async def check() -> Fault | None:
        full_at = writer.storage_was_full_at
        if full_at is not None and clock() - full_at < FULL_FOR_S:
            return Fault("disk.full", "There was no room for what was to be stored.")
        try:
            free = shutil.disk_usage(data).free
        except OSError as error:
            return Fault("disk.low", f"The data directory {data} is not there: {error.strerror}.")
        if free < FREE_BYTES_MIN:
            mebibytes = free // (1024 * 1024)
            return Fault("disk.low", f"The data directory {data} has {mebibytes} MiB left.")
        return None

    return check
