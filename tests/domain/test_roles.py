"""What standings include, and what two of them have in common."""

from itertools import product
from typing import get_args

import pytest

from domain.roles import ROLES, Role, Standing, standing

CLUSTERS = ("web", "db")


def every_standing() -> list[Standing]:
    """All that there are with two clusters."""
    roles = get_args(Role)
    return [
        standing(a, dict(zip(CLUSTERS, pair, strict=True))) for a, *pair in product(roles, repeat=3)
    ]


def test_a_role_in_a_cluster_that_is_no_more_than_the_one_everywhere_says_nothing() -> None:
    assert standing("operator", {"web": "viewer", "db": "operator"}) == Standing("operator")
    assert standing("viewer", {"b": "admin", "a": "operator"}).clusters == (
        ("a", "operator"),
        ("b", "admin"),
    )


@pytest.mark.parametrize("place", ["", *CLUSTERS])
def test_what_is_within_a_limit_may_do_what_both_may_and_no_more(place: str) -> None:
    for one, limit in product(every_standing(), repeat=2):
        both = one.within(limit)
        least = min(one.role_in(place), limit.role_in(place), key=ROLES.index)
        assert both.role_in(place) == least
        assert one.covers(both) and limit.covers(both)
        if limit.covers(one):
            assert both == one
