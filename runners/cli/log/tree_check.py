"""Does the tree of the log have what the log has? The part of `commissaire log check` about it."""

from collections.abc import Iterator

import orjson

from domain.log.engine import Engine
from domain.log.recorder import Entry
from domain.log.transaction import Transaction
from domain.log.tree import kept
from domain.log.tree.hashing import Frontier, Node
from domain.log.tree.kept import BrokenTree, Leaf
from domain.log.tree.leaf import hash_of
from domain.log.tree.note import WrongNote
from runners.proof import chain
from runners.proof.chain import Claim

LEAVES_AT_ONCE = 4096
END = Leaf(2**63, b"")
"""After the last one."""


class Wrong(Exception):
    """Something is not as it must be; the sentence says where and what."""


class TreeCheck:
    """Holds the entries of the log, in order, against the tree as it was at the beginning."""

    def __init__(self, engine: Engine, tx: Transaction) -> None:
        self._engine = engine
        self._tree, self._beyond = kept.EMPTY, ""
        if tx.execute(kept.EXISTS[tx.engine]).fetchone()[0]:
            try:
                self._tree = kept.tree(tx)
            except BrokenTree as broken:
                raise Wrong(f"The tree of the log cannot be used: {broken}.") from None
            self._beyond = kept.beyond(tx, self._tree.frontier.size)
        self._leaves = self._kept_leaves()
        self._found = Frontier()
        self._completed: list[Node] = []
        self._hashes: list[bytes] = []
        self._claims: list[Claim] = []

    @property
    def checkpoints(self) -> int:
        """What the log said of itself, so many times."""
        return len(self._claims)

    @property
    def size(self) -> int:
        """How many leaves were compared."""
        return self._found.size + len(self._hashes)

    def compare(self, entry: Entry) -> None:
        """Hold the next entry of the log against its leaf."""
        position, stored = entry.position, entry.stored
        if position > self._tree.position:
            return
        leaf = next(self._leaves, END)
        if leaf.position > position:
            raise Wrong(f"Position {position} was put in: the tree of the log does not have it.")
        if leaf.position < position:
            raise Wrong(f"Position {leaf.position} is missing: the tree of the log has it.")
        row = (str(stored.originator_id), stored.originator_version, stored.topic, stored.state)
        if hash_of(position, entry.recorded_at, *row) != leaf.hash:
            raise Wrong(
                f"Position {position} was altered: it is not what the tree of the log has of it."
            )
        self._hashes.append(leaf.hash)
        if stored.topic in chain.TOPICS:
            self._claims.append(_claim(entry))
        if len(self._hashes) == LEAVES_AT_ONCE:
            self._fold()

    def finish(self) -> None:
        """The log has no further entry: nor may the tree have more, and it fits together."""
        leaf = next(self._leaves, END)
        if leaf is not END:
            raise Wrong(f"Position {leaf.position} is missing: the tree of the log has it.")
        self._fold()
        if self._found != self._tree.frontier:
            raise Wrong(
                f"The tree of the log does not fit its {self._found.size} leaves: its frontier was"
                " altered."
            )
        with self._engine.snapshot() as tx:
            rows = tx.execute(kept.ALL_NODES).fetchall()
        stored = {Node(level, place, bytes(found)) for level, place, found in rows}
        for node in self._completed:
            if node not in stored:
                raise Wrong(
                    f"The tree of the log does not fit its leaves: node {node.place} of level"
                    f" {node.level} was altered."
                )
        if self._beyond:
            raise Wrong(
                f"The tree of the log was altered: {self._beyond} was put in after its end."
            )
        self._hold_claims()

    def _hold_claims(self) -> None:
        """What the log said of itself must be so, and signed by one key, or those after it."""
        keys = chain.trusted({*self._claims[0].keys[:1]} if self._claims else set(), self._claims)
        fits = 0
        for claim in self._claims:
            if not keys.issuperset(claim.keys):
                raise Wrong(f"{claim.where} is signed by another key than those before.")
            try:
                with self._engine.snapshot() as tx:
                    is_so = kept.root_at(tx, claim.size) == claim.root
            except BrokenTree:
                is_so = False  # of more than there is
            if not is_so:
                raise Wrong(
                    f"{claim.where} is not of the {claim.size} events that the log begins with:"
                    f" something after the first {fits} was altered, and the tree made to fit."
                )
            fits = claim.size

    def must_be_whole(self, head: int) -> None:
        """All of the log is in the tree, once it had been."""
        if self._tree.grown and head > self._tree.position:
            raise Wrong(
                f"What follows position {self._tree.position} is not in the tree of the log: a"
                " version without trees wrote it, or somebody else."
            )

    def _fold(self) -> None:
        self._found, completed = self._found.extended(self._hashes)
        self._completed += completed
        self._hashes.clear()

    def _kept_leaves(self) -> Iterator[Leaf]:
        """In a transaction for each batch, as the log is read."""
        size = self._tree.frontier.size
        for first in range(0, size, LEAVES_AT_ONCE):
            count = min(LEAVES_AT_ONCE, size - first)
            try:
                with self._engine.snapshot() as tx:
                    found = kept.leaves(tx, first, count)
            except BrokenTree as broken:
                raise Wrong(f"The tree of the log was altered: {broken}.") from None
            yield from found
            if len(found) < count:
                missing = first + len(found)
                raise Wrong(f"The tree of the log was altered: leaf {missing} is not there.")


def _claim(entry: Entry) -> Claim:
    try:
        said = orjson.loads(entry.stored.state)
        where = f"The checkpoint at position {entry.position}"
        return chain.claim_of_event(entry.stored.topic, said, where)
    except (WrongNote, ValueError, AttributeError) as wrong:
        raise Wrong(f"The checkpoint at position {entry.position} is wrong: {wrong}.") from None
