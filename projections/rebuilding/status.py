"""How each projection is, seen from beside the service: for `commissaire projections status`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from domain.log import recorder
from domain.log.transaction import Transaction
from projections.projection import Fold, Made, Projection, made
from projections.rebuilding.verification import digest
from projections.tables import StoredTables, columns, fits

TRIED_EVENTS = 10_000
"""How far a projection that is behind is tried, to find the event that stopped it."""

State = Literal["current", "outdated", "unbuilt", "behind", "stopped"]

ACTIONS: dict[State, str] = {
    "current": "",
    "outdated": "It is served, and made anew when the service starts; or: commissaire projections"
    " rebuild {name}",
    "unbuilt": "It is built when the service starts; or: commissaire projections rebuild {name}",
    "behind": "Restart the service: it catches up with the log when it starts.",
    "stopped": "Start a version of Commissaire that knows this event; nothing is lost.",
}
"""What a person can do."""


@dataclass(frozen=True)
class Status:
    """How far one projection is, at one moment."""

    name: str
    version: int
    """Of this program."""
    rows_of: int | None
    """The version that made the rows; None where there are none."""
    position: int
    lag: int
    """Positions of the log that it is behind its head."""
    rows: int
    state: State
    reason: str
    action: str
    digest: str | None = None
    """Where it was asked for, and there is something to read."""


def status(
    tx: Transaction, projections: Sequence[Projection], *, with_digest: bool = False
) -> list[Status]:
    """The status of each of these projections, at one moment."""
    found, head = made(tx), recorder.head(tx).position
    return [_status(tx, each, found.get(each.name), head, with_digest) for each in projections]


def _status(
    tx: Transaction, projection: Projection, found: Made | None, head: int, with_digest: bool
) -> Status:
    name = projection.name
    position = found.position if found else 0
    state, reason = _judged(tx, projection, found, head)
    is_readable = all(fits(tx, table) for table in projection.tables)
    return Status(
        name,
        projection.version,
        found.version if found else None,
        position,
        max(0, head - position),
        sum(_count(tx, table.name) for table in projection.tables if columns(tx, table)),
        state,
        reason,
        ACTIONS[state].format(name=name),
        digest(tx, projection) if with_digest and is_readable else None,
    )


def _judged(
    tx: Transaction, projection: Projection, found: Made | None, head: int
) -> tuple[State, str]:
    if not all(fits(tx, table) for table in projection.tables):
        return "unbuilt", "Its tables are not there, or have other columns."
    if found is None:
        return ("unbuilt", "It has never been made.") if head else ("current", "")
    if found.position < head:
        halted = _why_it_stops(tx, projection, found.position)
        why = f"It is at position {found.position} of the log, which goes to {head}."
        return ("stopped", halted) if halted else ("behind", why)
    if found.version != projection.version:
        return "outdated", f"Its rows are of version {found.version}."
    return "current", ""


def _why_it_stops(tx: Transaction, projection: Projection, position: int) -> str:
    """Go on with the log, for a try: nothing of it is written."""
    fold = Fold((projection,), StoredTables(tx), position)
    fold.add(recorder.rows(tx, position, TRIED_EVENTS))
    return fold.stops[projection.name].why if fold.stops else ""


def _count(tx: Transaction, table: str) -> int:
    return int(tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - ours
