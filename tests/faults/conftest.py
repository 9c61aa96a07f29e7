"""Services for faults: their hosts cannot be reached, and are looked at once only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import Service

ALONE = (
    *("--investigation-attempts", "1"),
    *("--retry-pause-s", "80000", "--retry-pause-max-s", "86400"),
    "--no-log-requests",
)
"""Nothing is looked at a second time."""


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service that runs, on each engine."""
    with Service(tmp_path / "service", database_url, *ALONE) as running:
        yield running
