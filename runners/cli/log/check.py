"""Is the log whole? What `commissaire log check` looks at, entry by entry."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from domain.aggregates.log_history import ClockSetBack, WentBack
from domain.log import recorder
from domain.log.engine import EMPTY, Engine, Head
from domain.log.mapper import MissingField, whole_event
from domain.log.reading import search
from domain.log.reading.search import Filter
from domain.log.recorder import Entry
from domain.log.schema import LAST_GIVEN
from domain.log.transaction import EngineName
from runners.cli.log.tree_check import TreeCheck, Wrong

BATCH_EVENTS = 1000
BATCH_BYTES = 4 * 1024 * 1024


@dataclass
class Findings:
    """What was looked at, and the first thing that is wrong with it."""

    position: int = 0
    """The head of the log when the check began."""
    events: int = 0
    streams: int = 0
    leaves: int = 0
    """So many events were held against the Merkle tree of the log."""
    checkpoints: int = 0
    """What the log said of its tree, so many times."""
    projections: dict[str, int] = field(default_factory=dict)
    """How far each projection has come."""
    wrong: str = ""


def check(engine: Engine, advance: Callable[[int], None] = lambda position: None) -> Findings:
    """Look at the whole log up to its head, also while somebody appends to it.

    Raises `PersistenceError` where the database cannot be read.
    """
    # In one state, because head and projections move together.
    with engine.snapshot() as tx:
        head = recorder.head(tx)
        rows = tx.execute("SELECT name, position FROM projection_positions ORDER BY name")
        findings = Findings(head.position, projections=dict(rows.fetchall()))
        (last_given,) = tx.execute(LAST_GIVEN[engine.name]).fetchone() or (0,)
        try:
            tree = TreeCheck(engine, tx)
        except Wrong as wrong:
            findings.wrong = str(wrong)
            return findings
    try:
        _check_ends(engine.name, head, last_given)
        _check_entries(engine, findings, tree, advance)
        tree.finish()
        findings.checkpoints = tree.checkpoints
        _check_projections(findings)
        tree.must_be_whole(findings.position)
    except Wrong as wrong:
        findings.wrong = str(wrong)
    return findings


def _check_ends(engine: EngineName, head: Head, last_given: int) -> None:
    """PostgreSQL gives positions out for good, also to what was rolled back: it may be ahead."""
    if last_given < head.position or (engine == "sqlite" and last_given > head.position):
        raise Wrong(
            f"The newest entry has position {head.position}, but {last_given} was given out last:"
            " entries are missing at the end."
            if last_given > head.position
            else f"Position {head.position} would be given out again: the counter is at"
            f" {last_given}."
        )


def _check_entries(
    engine: Engine, findings: Findings, tree: TreeCheck, advance: Callable[[int], None]
) -> None:
    versions: dict[str, int] = {}
    before: Head = EMPTY
    for entry in _entries(engine, findings.position):
        _check_place(engine.name, entry, before)
        _check_stream(entry, versions)
        tree.compare(entry)
        _check_content(entry)
        before = Head(entry.position, entry.recorded_at)
        findings.events += 1
        findings.streams, findings.leaves = len(versions), tree.size
        if findings.events % BATCH_EVENTS == 0:
            advance(entry.position)


def _entries(engine: Engine, up_to: int) -> Iterator[Entry]:
    """In a transaction for each batch: a long one would keep others' garbage in the database."""
    position = 0
    while True:
        with engine.snapshot() as tx:
            page = search.page(tx, Filter(), position, BATCH_EVENTS, BATCH_BYTES)
        yield from (entry for entry in page.entries if entry.position <= up_to)
        position = page.position
        if not page.more or position >= up_to:
            return


def _check_place(engine: EngineName, entry: Entry, before: Head) -> None:
    skipped = entry.stored.topic == WentBack.TOPIC
    if engine == "sqlite" and not skipped and entry.position != before.position + 1:
        raise Wrong(
            f"Position {before.position + 1} is missing: {entry.position} follows"
            f" {before.position}."
        )
    anew = entry.stored.topic == ClockSetBack.TOPIC
    if not anew and entry.recorded_at < before.recorded_at:
        raise Wrong(
            f"Position {entry.position} was recorded at {entry.recorded_at}, before position"
            f" {before.position} at {before.recorded_at}."
        )


def _check_stream(entry: Entry, versions: dict[str, int]) -> None:
    name, version = str(entry.stored.originator_id), entry.stored.originator_version
    known = versions.get(name, 0)
    if version != known + 1:
        raise Wrong(
            f"Position {entry.position}: version {version} of {name} follows version {known}."
        )
    versions[name] = version


def _check_content(entry: Entry) -> None:
    try:
        whole_event(entry.stored)
        why = ""
    except MissingField as missing:
        why = f"it has no {missing}"
    except Exception as defect:  # noqa: BLE001 - whatever it is, it is what was asked for
        why = type(defect).__name__
    if why:
        raise Wrong(
            f"Position {entry.position}: {entry.stored.topic} of {entry.stored.originator_id}"
            f" cannot be read ({why})."
        )


def _check_projections(findings: Findings) -> None:
    for name, position in findings.projections.items():
        if position != findings.position:
            raise Wrong(
                f"The projection {name} is at position {position}, the log at {findings.position}."
            )
