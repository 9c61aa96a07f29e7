"""The budget of a cluster: how many of its members may be away, for whatever reason together.

Members that are not active, hosts that an operation works on, and holders of locks count once each.
"""

from collections.abc import Set

from domain.refusal import invalid
from domain.rollouts.amounts import Amount, amount_of, is_amount

SLOTS = 1
"""Of locks, where the policy of the cluster does not say how many members may be away."""


def checked_budget(amount: Amount | None) -> Amount | None:
    """What a policy may say, or a refusal."""
    if amount is not None and not is_amount(amount, 1):
        raise invalid(
            "max_unavailable must be a number from 1 on, or a percentage such as '25%'.",
            "max_unavailable",
        )
    return amount


def most_away(amount: Amount, members: int) -> int:
    """How many members may be away at once: rounded down, one at least."""
    return max(1, amount_of(amount, members))


def has_room(away: Set[str], address: str, most: int) -> bool:
    """Whether this host may go away as well; one that is away already takes no further room."""
    return len(away | {address}) <= most
