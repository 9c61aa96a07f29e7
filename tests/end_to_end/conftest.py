"""A service and a fleet for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.fixtures import fleet
from tests.support.service import Service

__all__ = ["fleet", "service"]

QUICK = ("--retry-pause-s", "0.5", "--retry-pause-max-s", "2", "--ssh-connect-timeout-s", "3")
"""A failed host is asked again soon, so that a test can wait for it."""


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service that runs, on each engine."""
    with Service(tmp_path / "service", database_url, *QUICK) as running:
        yield running
