"""`commissaire serve` whose log gets no Merkle tree and no mark: for measuring what they cost.

    python -m bench.anchors.without_tree serve …

Nothing that the product can be told does this.
"""

from collections.abc import Sequence

from domain.log import recorder
from domain.log.transaction import Transaction
from domain.log.tree import kept
from domain.log.tree.kept import Leaf, Tree
from runners.cli.main import main


def no_leaves(places: object, stored: object) -> list[Leaf]:
    """Nothing is hashed."""
    return []


def no_tree(tx: Transaction, head: int, leaves: Sequence[Leaf]) -> Tree | None:
    """Nothing is kept."""
    return None


if __name__ == "__main__":
    recorder.leaves = no_leaves
    kept.extend = no_tree
    main()
