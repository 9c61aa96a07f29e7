"""A pair of servers for each test: a failover is for once."""

from collections.abc import Iterator

import pytest

from tests.high_availability.pair import Pair


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary and a standby, which run."""
    pair = Pair()
    yield pair
    pair.discard()
