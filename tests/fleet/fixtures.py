"""Fixtures around the fleet: `from tests.fleet.fixtures import fleet, ssh`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import Fleet
from tests.fleet.ssh import Client


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """An empty fleet; its hosts are gone when the test ends."""
    with Fleet(tmp_path / "fleet") as fleet:
        yield fleet


@pytest.fixture
def ssh(tmp_path: Path) -> Client:
    """The system's ssh client, with its keys in the test's directory."""
    return Client(tmp_path)
