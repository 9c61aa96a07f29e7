"""The fleet as a pytest fixture: `from tests.fleet.fixtures import fleet`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """An empty fleet; its hosts are gone when the test ends."""
    with Fleet(tmp_path / "fleet") as fleet:
        yield fleet
