"""Amounts of hosts: a number, or a percentage of all, rounded down."""

import re

Amount = int | str
"""A number, or a percentage such as `"10%"`."""

COUNT_MAX = 1_000_000
PERCENTAGE = re.compile(r"(100|[0-9]{1,2})%", re.ASCII)


def is_amount(amount: Amount, least: int) -> bool:
    """Whether it is a number or a percentage of at least so much."""
    if isinstance(amount, int):
        return least <= amount <= COUNT_MAX
    found = PERCENTAGE.fullmatch(amount)
    return found is not None and int(found[1]) >= least


def amount_of(amount: Amount, whole: int) -> int:
    """What it comes to. A small percentage may come to nothing."""
    return amount if isinstance(amount, int) else whole * int(amount.rstrip("%")) // 100
