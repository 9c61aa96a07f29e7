"""Hashes of a Merkle tree as RFC 6962, 2.1, and RFC 9162, 2.1, have them, and its frontier.

The frontier is what has to be known to go on: the roots of the complete subtrees, largest first,
one for each bit that the size has.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()
HEIGHT = 8
"""Roots of complete subtrees are kept at each so many levels: 256 hashes make the next one."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of what is in the log."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of what is above two others."""
    return sha256(b"\1" + left + right).digest()


class Node(NamedTuple):
    """The root of a complete subtree of `2 ** level` leaves, the `place`th from the left."""

    level: int
    place: int
    hash: bytes


class Frontier(NamedTuple):
    """A tree of so many leaves, as far as more can be added to it."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        return root_of(self.hashes) if self.hashes else EMPTY_ROOT

    def extended(self, leaves: Iterable[bytes]) -> tuple["Frontier", list[Node]]:
        """With further hashes of leaves; and the nodes to keep that this completes."""
        size, hashes, completed = self.size, list(self.hashes), list[Node]()
        for each in leaves:
            size += 1
            rest, level, found = size, 0, each
            while not rest & 1:
                found = sha256(b"\1" + hashes.pop() + found).digest()
                rest >>= 1
                level += 1
                if level % HEIGHT == 0:
                    completed.append(Node(level, rest - 1, found))
            hashes.append(found)
        return Frontier(size, tuple(hashes)), completed


def root_of(hashes: Iterable[bytes]) -> bytes:
    """The root of complete subtrees that stand side by side, the largest first."""
    *others, found = hashes
    for each in reversed(others):
        found = node_hash(each, found)
    return found
