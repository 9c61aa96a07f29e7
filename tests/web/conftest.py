"""The service on both engines, and on SQLite alone for what no database has a say in."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.service import WebService, base64_of, new_key, serving


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[WebService]:
    """The service, on each engine in turn."""
    with serving(tmp_path, database_url) as running:
        yield running


@pytest.fixture
def api(service: WebService) -> Iterator[httpx.Client]:
    """An administrator's client, on each engine in turn."""
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """One service for a module, on SQLite: its tests use names of their own."""
    with serving(tmp_path_factory.mktemp("front")) as running:
        yield running


@pytest.fixture(scope="module")
def client(front: WebService) -> Iterator[httpx.Client]:
    """An administrator's client of `front`."""
    with front.client() as opened:
        yield opened


@pytest.fixture(scope="session")
def key() -> str:
    """A private key in base64."""
    return base64_of(new_key())
