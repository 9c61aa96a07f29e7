"""Another implementation of RFC 6962 has the same roots, and proofs that say the same."""

from pymerkle import (  # type: ignore[import-untyped]  # it has no types
    InmemoryTree,
    verify_consistency,
)

from domain.log.tree.hashing import Frontier, leaf_hash
from domain.log.tree.proofs import consistency, continues, inclusion
from tests.domain.log.tree.test_hashing import proved

SIZE = 40


def test_another_implementation_says_the_same() -> None:
    other = InmemoryTree(algorithm="sha256")
    leaves = []
    for number in range(SIZE):
        other.append_entry(b"row %d" % number)
        leaves.append(leaf_hash(b"row %d" % number))
        size = number + 1
        assert other.get_root(size) == Frontier().extended(leaves)[0].root
    for size in range(1, SIZE + 1):
        for leaf in range(size):
            theirs = other.prove_inclusion(leaf + 1, size).path
            assert theirs == [leaves[leaf], *proved(leaves, inclusion(leaf, size))]
        for older in range(1, size):
            roots = Frontier().extended(leaves[:older])[0].root, other.get_root(size)
            # Theirs has another form, and speaks of the same roots.
            verify_consistency(*roots, other.prove_consistency(older, size))
            ours = proved(leaves[:size], consistency(older, size))
            assert continues(older, other.get_root(older), size, roots[1], ours)
