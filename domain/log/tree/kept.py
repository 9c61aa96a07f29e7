"""The tree in tables beside the log: each leaf, the roots of 256 of them, and the frontier.

A leaf is written in the transaction that appends its row. A tree that is behind the log (a version
without trees wrote it) is left to `growth.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.log.transaction import EngineName, Transaction
from domain.log.tree import proofs
from domain.log.tree.hashing import HASH_BYTES, HEIGHT, Frontier, root_of
from domain.log.tree.proofs import Span

FRONTIER = "SELECT size, position, grown, hashes FROM log_frontier"
SET_FRONTIER = "UPDATE log_frontier SET size = ?, position = ?, grown = ?, hashes = ?"
ADD_LEAF = """
    INSERT INTO log_leaves (leaf, position, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
ADD_NODE = """
    INSERT INTO log_nodes (level, place, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
"""What somebody put in their place stays, for `log check` to name: no change fails for it."""
LEAVES = "SELECT leaf, position, hash FROM log_leaves WHERE leaf >= ? AND leaf < ? ORDER BY leaf"
LEAF_HASHES = "SELECT hash FROM log_leaves WHERE leaf >= ? AND leaf < ? ORDER BY leaf"
NODES = """
    SELECT hash FROM log_nodes WHERE level = ? AND place >= ? AND place < ? ORDER BY place
"""
ALL_NODES = "SELECT level, place, hash FROM log_nodes ORDER BY level, place"
TOPS = """
    SELECT 0, coalesce(max(leaf), -1) FROM log_leaves
    UNION ALL SELECT level, max(place) FROM log_nodes GROUP BY level
"""
POSITION_OF = "SELECT position FROM log_leaves WHERE leaf = ?"
EXISTS: dict[EngineName, str] = {
    "sqlite": "SELECT count(*) FROM sqlite_schema WHERE name = 'log_frontier'",
    "postgresql": "SELECT count(to_regclass('log_frontier'))",
}
"""Whether there is a tree at all: 0 or 1."""


class BrokenTree(LookupError):
    """The tree lacks what it must have: somebody changed its tables."""


class Leaf(NamedTuple):
    """A row of the log, as far as the tree needs it."""

    position: int
    hash: bytes


class Tree(NamedTuple):
    """How far the tree has come: up to a position of the log."""

    position: int
    frontier: Frontier
    grown: bool
    """Whether it has ever come to the head of the log: from then on, both go together."""


EMPTY = Tree(0, Frontier(), grown=False)


def tree(tx: Transaction) -> Tree:
    """The tree as it is kept now. Raises `BrokenTree` where its hashes are not of its size."""
    row = tx.execute(FRONTIER).fetchone()
    if row is None:
        raise BrokenTree("its frontier is not there: the next start makes it anew")
    size, position, grown, hashes = row
    parts = bytes(hashes)
    found = [parts[at : at + HASH_BYTES] for at in range(0, len(parts), HASH_BYTES)]
    if size < 0 or len(parts) != HASH_BYTES * size.bit_count():
        raise BrokenTree(f"the frontier of {size} leaves has {len(parts)} bytes")
    return Tree(position, Frontier(size, tuple(found)), bool(grown))


def extend(tx: Transaction, head: int, leaves: Sequence[Leaf]) -> Tree | None:
    """Add what is appended after the head that the log had; under the append lock.

    Gives None, and adds nothing, where the tree had not come to that head, or is broken: changes
    do not wait for whoever mends that.
    """
    try:
        before = tree(tx)
    except BrokenTree:
        return None
    if before.position < head:
        return None
    return add(tx, before, [leaf for leaf in leaves if leaf.position > before.position], grown=True)


def add(tx: Transaction, before: Tree, leaves: Sequence[Leaf], *, grown: bool) -> Tree:
    """Add leaves to the tree as it is; under the append lock."""
    frontier, completed = before.frontier.extended(leaf.hash for leaf in leaves)
    position = leaves[-1].position if leaves else before.position
    after = Tree(position, frontier, before.grown or grown)
    if after != before:
        numbered = enumerate(leaves, before.frontier.size)
        tx.execute_each(ADD_LEAF, [(number, *leaf) for number, leaf in numbered])
        if completed:
            tx.execute_each(ADD_NODE, completed)
        hashes = b"".join(frontier.hashes)
        tx.execute(SET_FRONTIER, (frontier.size, position, int(after.grown), hashes))
    return after


def leaves(tx: Transaction, first: int, count: int) -> list[Leaf]:
    """So many leaves from one on, in order. Raises `BrokenTree` where one is not there."""
    rows = tx.execute(LEAVES, (first, first + count)).fetchall()
    for number, row in enumerate(rows, first):
        if row[0] != number:
            raise BrokenTree(f"leaf {number} is not there")
    return [Leaf(position, bytes(found)) for _, position, found in rows]


def beyond(tx: Transaction, size: int) -> str:
    """A leaf or a node that is beyond a tree of so many leaves; "" where there is none."""
    for level, place in tx.execute(TOPS).fetchall():
        if (place + 1) << level > size:
            return f"node {place} of level {level}" if level else f"leaf {place}"
    return ""


def leaf_of(tx: Transaction, position: int, size: int) -> int | None:
    """Which leaf a position of the log is, in a tree of so many; None where it is none."""
    low, high = 0, min(position, size)  # positions begin at 1, and have gaps
    while low < high:
        middle = (low + high) // 2
        found = _position_of(tx, middle)
        if found < position:
            low = middle + 1
        else:
            high = middle
    return low if low < size and _position_of(tx, low) == position else None


def _position_of(tx: Transaction, leaf: int) -> int:
    row = tx.execute(POSITION_OF, (leaf,)).fetchone()
    if row is None:
        raise BrokenTree(f"leaf {leaf} is not there")
    return int(row[0])


def root_at(tx: Transaction, size: int) -> bytes:
    """The root that the tree had at a size that it has come to."""
    return proofs.root(Span(0, size), Nodes(tx))


class Path(NamedTuple):
    """A proof, and the roots that it is held against."""

    root: bytes
    hashes: list[bytes]
    older_root: bytes = b""


def inclusion(tx: Transaction, leaf: int, size: int) -> Path:
    """What proves that a leaf is in the tree of a size that it has come to."""
    nodes = Nodes(tx)
    hashes = [proofs.root(span, nodes) for span in proofs.inclusion(leaf, size)]
    return Path(proofs.root(Span(0, size), nodes), hashes)


def consistency(tx: Transaction, older: int, size: int) -> Path:
    """What proves that the tree of one size continues that of an older one."""
    nodes = Nodes(tx)
    hashes = [proofs.root(span, nodes) for span in proofs.consistency(older, size)]
    roots = [proofs.root(Span(0, each), nodes) for each in (size, older)]
    return Path(roots[0], hashes, roots[1])


class Nodes:
    """Nodes of complete subtrees, found in the tables; what was read is kept for the next one."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._read: dict[tuple[int, int], list[bytes]] = {}
        self._found: dict[tuple[int, int], bytes] = {}

    def __call__(self, level: int, place: int) -> bytes:
        """The root of a subtree that is complete. Raises `BrokenTree`."""
        key = level, place
        if key not in self._found:
            self._found[key] = self._of(level, place)
        return self._found[key]

    def _of(self, level: int, place: int) -> bytes:
        above = level % HEIGHT
        base, first = level - above, place << above
        at = first % (1 << HEIGHT)
        found = self._group(base, first >> HEIGHT)[at : at + (1 << above)]
        if len(found) < 1 << above:
            raise BrokenTree(f"node {place} of level {level} is not there")
        while len(found) > 1:
            found = [root_of(found[at : at + 2]) for at in range(0, len(found), 2)]
        return found[0]

    def _group(self, base: int, group: int) -> list[bytes]:
        key = base, group
        if key not in self._read:
            first = group << HEIGHT
            if base == 0:
                rows = self._tx.execute(LEAF_HASHES, (first, first + (1 << HEIGHT))).fetchall()
                self._read[key] = [bytes(row[0]) for row in rows]
            else:
                rows = self._tx.execute(NODES, (base, first, first + (1 << HEIGHT))).fetchall()
                self._read[key] = [bytes(row[0]) for row in rows]
        return self._read[key]
