"""A service with a small fleet, and a browser of each role."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.console import fleet
from tests.web.console.browser import Browser, browsing
from tests.web.service import WebService, serving

HOSTS = 30


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """One service for a module, with a fleet of which nothing runs."""
    with serving(Path(tmp_path_factory.mktemp("console")), sources={"rack 7"}) as service:
        fleet.seed(service, HOSTS)
        yield service


@pytest.fixture
def admin(seeded: WebService) -> Iterator[Browser]:
    """An administrator's browser."""
    with browsing(seeded) as browser:
        yield browser


@pytest.fixture
def viewer(seeded: WebService) -> Iterator[Browser]:
    """The browser of somebody who may only look."""
    with browsing(seeded, "viewer") as browser:
        yield browser
