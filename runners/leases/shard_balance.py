"""Who should have which shards: everybody as many as the others, and as few as possible move."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple


class Moves(NamedTuple):
    """What one member does next."""

    release: tuple[int, ...]
    claim: tuple[int, ...]


def shares(members: Collection[str], shards: int) -> dict[str, int]:
    """How many shards each member should have: all of them together, and nobody two more than
    another."""
    if not members:
        return {}
    each, more = divmod(shards, len(members))
    return {name: each + (rank < more) for rank, name in enumerate(sorted(members))}


def rebalance(me: str, members: Collection[str], holders: Mapping[int, str]) -> Moves:
    """What `me` releases and claims. `members`: the members that are alive. `holders`: who holds
    each shard; a shard whose holder is not alive is free.

    Members that see the same table claim different shards, so that no claim is refused.
    """
    wanted = shares(members, len(holders))
    held = Counter(holder for holder in holders.values() if holder in wanted)
    free = sorted(shard for shard, holder in holders.items() if holder not in wanted)
    begin = 0
    for name in sorted(wanted):
        missing = max(0, wanted[name] - held[name])
        if name == me:
            mine = sorted(shard for shard, holder in holders.items() if holder == me)
            return Moves(tuple(mine[wanted[me] :]), tuple(free[begin : begin + missing]))
        begin += missing
    return Moves((), ())
