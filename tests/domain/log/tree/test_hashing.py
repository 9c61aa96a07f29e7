"""The tree is the one of RFC 6962: known roots, and proofs that hold, and no others."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log.tree import proofs
from domain.log.tree.hashing import EMPTY_ROOT, Frontier, leaf_hash, node_hash, root_of
from domain.log.tree.proofs import Span, consistency, continues, includes, inclusion

# The inputs and roots that implementations of Certificate Transparency are tested with.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LARGEST = 70


def hashes(size: int) -> list[bytes]:
    """Of leaves that all differ."""
    return [leaf_hash(b"%d" % number) for number in range(size)]


def node_at(leaves: list[bytes], level: int, place: int) -> bytes:
    """By the definition."""
    if level == 0:
        return leaves[place]
    left, right = (node_at(leaves, level - 1, 2 * place + side) for side in (0, 1))
    return node_hash(left, right)


def root(leaves: list[bytes]) -> bytes:
    """By the definition: RFC 6962, 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(root(leaves[:split]), root(leaves[split:]))


def proved(leaves: list[bytes], spans: list[Span]) -> list[bytes]:
    """The hashes of a proof."""
    return [proofs.root(span, lambda level, place: node_at(leaves, level, place)) for span in spans]


def test_roots_are_those_that_everybody_has() -> None:
    leaves = [leaf_hash(each) for each in INPUTS]
    for size, expected in enumerate(ROOTS):
        assert Frontier().extended(leaves[:size])[0].root.hex() == expected


@pytest.mark.parametrize("size", [*range(LARGEST), 255, 256, 257, 1000])
def test_a_frontier_that_grows_has_the_root_of_all_leaves(size: int) -> None:
    leaves = hashes(size)
    whole, _ = Frontier().extended(leaves)
    half, _ = Frontier().extended(leaves[: size // 2])
    grown, _ = half.extended(leaves[size // 2 :])
    assert whole == grown
    assert whole.size == size
    assert whole.root == root(leaves)


def test_nodes_of_256_leaves_are_given_once() -> None:
    leaves = hashes(600)
    first, completed = Frontier().extended(leaves[:300])
    _, rest = first.extended(leaves[300:])
    assert [node[:2] for node in completed + rest] == [(8, 0), (8, 1)]
    assert (completed + rest)[1].hash == root(leaves[256:512])


def test_every_leaf_is_proved_in_every_size_and_nothing_else_is() -> None:
    for size in range(1, LARGEST):
        leaves = hashes(size)
        of_all = root(leaves)
        for leaf in range(size):
            proof = proved(leaves, inclusion(leaf, size))
            assert includes(leaves[leaf], leaf, size, proof, of_all)
            assert not includes(leaf_hash(b"other"), leaf, size, proof, of_all)
            assert not includes(leaves[leaf], leaf, size, [*proof, of_all], of_all)
            if proof:
                assert not includes(leaves[leaf], leaf, size, proof[:-1], of_all)
                assert not includes(leaves[leaf], leaf ^ 1, size, proof, of_all)
    assert not includes(b"", 3, 3, [], b"")


def test_every_size_is_proved_to_continue_every_older_one() -> None:
    leaves = hashes(LARGEST)
    roots = [root(leaves[:size]) for size in range(LARGEST + 1)]
    for size in range(LARGEST + 1):
        for older in range(size + 1):
            proof = proved(leaves, consistency(older, size))
            assert continues(older, roots[older], size, roots[size], proof)
            if 0 < older < size:
                assert not continues(older, leaf_hash(b"other"), size, roots[size], proof)
                assert not continues(older, roots[older], size, leaf_hash(b"other"), proof)
                assert not continues(older, roots[older], size, roots[size], proof[:-1])
                assert not continues(older, roots[older], size, roots[size], [*proof, b"x" * 32])
    assert not continues(3, roots[3], 2, roots[2], [])


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_a_proof_is_as_long_as_the_tree_is_high(one: int, other: int) -> None:
    older, size = min(one, other), max(one, other)
    for path in (inclusion(older - 1, size), consistency(older, size)):
        assert len(path) <= size.bit_length() + 1
        assert all(span.begin < span.end <= size for span in path)
    places = sorted([*inclusion(older - 1, size), Span(older - 1, older)])
    assert (places[0].begin, places[-1].end) == (0, size)
    assert all(left.end == right.begin for left, right in pairwise(places))


def test_a_root_of_parts_is_folded_from_the_right() -> None:
    one, two, three = hashes(3)
    assert root_of([one]) == one
    assert root_of([one, two, three]) == node_hash(one, node_hash(two, three))
