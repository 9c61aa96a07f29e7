"""What one transaction of the writer decides and stores: one command after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.event import Recorded
from domain.log import recorder
from domain.log.continuity import Loss
from domain.log.engine import NOWHERE, Appending, Place, StoredEvent
from domain.log.jobs import Job
from domain.log.mapper import to_stored
from domain.log.transaction import Transaction
from domain.log.tree import kept
from domain.log.tree.kept import Leaf, Tree
from domain.log.unit import Aggregates, Unit
from domain.refusal import Refusal


class Projections(Protocol):
    """The read models, as far as the log needs to know them."""

    def judge(self, tx: Transaction) -> None:
        """Find out anew what can be read and written: another server may have less of it."""
        ...

    def follow(self, tx: Transaction, position: int) -> None:
        """Bring what is behind up to this position, before anything is added to it."""
        ...

    def project(self, tx: Transaction, events: Sequence[Recorded]) -> None:
        """Bring the read models up to date, in the transaction that appends."""
        ...

    def save_position(self, tx: Transaction, position: int) -> None:
        """Note up to where they are, once a transaction."""
        ...


@dataclass
class Batch:
    """What one transaction did, until it is durable."""

    projections: Projections
    aggregates: Aggregates
    done: list[Job] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    last: StoredEvent | None = None
    head: Place = NOWHERE
    wrote: bool = False
    scrub: bool = False
    loss: Loss | None = None
    tree: Tree | None = None
    """What the log's tree is with it; None where that is not known."""

    def decide(self, job: Job, appending: Appending) -> None:
        """Carry out or refuse one command, in the transaction that is open."""
        self.done.append(job)
        job.error = job.outcome = None  # of an attempt that was rolled back
        unit = Unit(appending.tx, self.aggregates, job.act)
        try:
            result = job.command(unit)
        except Refusal as refusal:
            unit.forget_changes()
            job.error = refusal
            return
        self.store(unit, appending)
        job.outcome = job.answer(appending.tx, result)

    def store(self, unit: Unit, appending: Appending, at: str | None = None) -> None:
        """Append what a command emitted, project it, and write what it wants written beside.

        With `at` the times of the log begin anew.
        """
        tx = appending.tx
        if unit.pending:
            stored = [to_stored(event) for event in unit.pending]
            head = self.head if self.recorded else appending.head
            places = recorder.insert(tx, head, stored, at)
            self.leaves += recorder.leaves(places, stored)
            self.head = places[-1]
            recorded = [
                Recorded(place.position, place.recorded_at, event)
                for place, event in zip(places, unit.pending, strict=True)
            ]
            self.projections.project(tx, recorded)
            self.recorded += recorded
            self.last = stored[-1]
        for write in unit.writes:
            write(tx)
        self.wrote = self.wrote or bool(unit.pending or unit.writes)
        self.scrub = self.scrub or unit.scrub

    def commit(self, appending: Appending) -> None:
        """Make it durable, with its leaves and how far the read models have come."""
        if self.recorded:
            self.tree = kept.extend(appending.tx, appending.head.position, self.leaves)
            self.projections.save_position(appending.tx, self.recorded[-1].position)
        appending.commit()
