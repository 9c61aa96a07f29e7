"""A service, and an operator on its machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commctl.operator import Operator
from tests.fleet.fixtures import fleet
from tests.support.service import Service

__all__ = ["fleet", "operator", "service"]

QUICK = ("--retry-pause-s", "0.5", "--retry-pause-max-s", "2", "--ssh-connect-timeout-s", "3")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that runs."""
    with Service(tmp_path / "service", None, *QUICK) as running:
        yield running


@pytest.fixture
def operator(tmp_path: Path, service: Service) -> Operator:
    """Somebody who may read its data directory."""
    return Operator(tmp_path / "home", service)
