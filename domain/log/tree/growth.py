"""A tree for a log that has none yet, or not up to its head: made beside the work of the service.

Hashing is done on a snapshot, and holds up nobody; what is written in one turn of the writer is
short. A version without trees may append as well: its rows are added in the same way.
"""

from typing import NamedTuple

from domain.log import recorder
from domain.log.engine import Engine
from domain.log.transaction import Transaction
from domain.log.tree import kept
from domain.log.tree.kept import Leaf, Tree
from domain.log.tree.leaf import hash_of

CHUNK_ROWS = 500
"""So many rows are added in one turn."""
REST_ROWS = 200
"""So many that were appended meanwhile are hashed in the turn itself: it comes to an end."""


class Chunk(NamedTuple):
    """The next leaves, ready to be added to the tree as it was."""

    before: Tree
    leaves: list[Leaf]


def next_chunk(engine: Engine, rows: int = CHUNK_ROWS) -> Chunk | None:
    """What the tree lacks next; None where it has come to the head of the log."""
    with engine.snapshot() as tx:
        before = kept.tree(tx)
        if before.grown and before.position >= recorder.head(tx).position:
            return None
        found = recorder.rows(tx, before.position, rows)
    return Chunk(before, [Leaf(row[0], hash_of(*row)) for row in found])


def add(tx: Transaction, chunk: Chunk) -> Tree:
    """Add it, under the append lock, unless somebody else did; gives the tree as it is then."""
    found = kept.tree(tx)
    if found != chunk.before:
        return found
    position = chunk.leaves[-1].position if chunk.leaves else found.position
    rest = recorder.rows(tx, position, REST_ROWS)
    leaves = [*chunk.leaves, *(Leaf(row[0], hash_of(*row)) for row in rest)]
    return kept.add(tx, found, leaves, grown=len(rest) < REST_ROWS)


def grow(engine: Engine, lock_timeout_s: float = recorder.LOCK_TIMEOUT_S) -> None:
    """Make the whole tree now, where no service runs."""
    while chunk := next_chunk(engine):
        with engine.append(lock_timeout_s) as appending:
            add(appending.tx, chunk)
            appending.commit()
