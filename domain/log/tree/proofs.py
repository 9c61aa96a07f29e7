"""Proofs of a Merkle tree: that a leaf is in it, and that a tree continues an older one.

They are the paths of RFC 6962, 2.1.1 and 2.1.2, and are verified as RFC 9162, 2.1.3.2 and 2.1.4.2,
say. Nothing here knows where hashes are kept.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from domain.log.tree.hashing import EMPTY_ROOT, node_hash, root_of


class Span(NamedTuple):
    """Leaves that one hash of a proof stands for: from the first on, before the end."""

    begin: int
    end: int


NodeAt = Callable[[int, int], bytes]
"""The root of the complete subtree of a level, at a place of that level."""


def inclusion(leaf: int, size: int) -> list[Span]:
    """What proves that a leaf is in a tree of this size, lowest first."""
    begin, end, path = 0, size, list[Span]()
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if leaf < middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(begin, middle))
            begin = middle
    return path[::-1]


def consistency(older: int, size: int) -> list[Span]:
    """What proves that a tree of this size continues one of an older size."""
    if older in (0, size):
        return []
    begin, end, path, is_left_edge = 0, size, list[Span](), True
    while older != end:
        middle = begin + _split(end - begin)
        if older <= middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(begin, middle))
            begin, is_left_edge = middle, False
    if not is_left_edge:
        path.append(Span(begin, end))
    return path[::-1]


def root(span: Span, node_at: NodeAt) -> bytes:
    """The hash that stands for leaves of a proof, or for a whole tree."""
    return root_of(_subtrees(span, node_at)) if span.end > span.begin else EMPTY_ROOT


def _subtrees(span: Span, node_at: NodeAt) -> Iterator[bytes]:
    """The complete subtrees of a span, the largest first; a span begins where its first does."""
    begin = span.begin
    while begin < span.end:
        level = (span.end - begin).bit_length() - 1
        yield node_at(level, begin >> level)
        begin += 1 << level


def _split(size: int) -> int:
    """The largest power of two that is smaller."""
    return 1 << ((size - 1).bit_length() - 1)


def includes(leaf_hash: bytes, leaf: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether a proof shows that a leaf is in the tree of this size and root."""
    if not 0 <= leaf < size:
        return False
    place, last, found = leaf, size - 1, leaf_hash
    for each in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(each, found)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            found = node_hash(found, each)
        place >>= 1
        last >>= 1
    return last == 0 and found == root


def continues(
    older: int, older_root: bytes, size: int, size_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether a proof shows that a tree begins with all that an older one had."""
    if older == size or older == 0:
        same = older_root == (size_root if older == size else EMPTY_ROOT)
        return same and not proof
    if not 0 < older < size or not proof:
        return False
    path = list(proof) if older & (older - 1) else [older_root, *proof]
    place, last = older - 1, size - 1
    while place & 1:
        place >>= 1
        last >>= 1
    of_older = of_size = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            of_older, of_size = node_hash(each, of_older), node_hash(each, of_size)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            of_size = node_hash(of_size, each)
        place >>= 1
        last >>= 1
    return last == 0 and (of_older, of_size) == (older_root, size_root)
