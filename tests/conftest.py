"""What every test can ask for: databases of both engines, real ones."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import no_leftovers
from tests.support.certificates import Authority
from tests.support.postgres import PostgresServer
from tests.support.warm_start import CHEAP_BCRYPT
from web.authentication import passwords

# How long an example takes says how busy the machine is.
settings.register_profile("commissaire", deadline=None)
settings.load_profile("commissaire")


def pytest_configure(config: pytest.Config) -> None:
    """No test leaves a process behind."""
    config.pluginmanager.register(no_leftovers)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cases that take seconds of CPU on the engine of `dear_on` are for `make proof`."""
    for item in items:
        dear = item.get_closest_marker("dear_on")
        if dear is not None and f"[{dear.args[0]}" in item.name:
            item.add_marker("proof")


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Clients trust one CA that nobody knows, unless they are told whom to trust.

    Each client of httpx reads all that it trusts anew, though it speaks plain HTTP: 26 ms of CPU
    where that is all CAs of the web.
    """
    authority = Authority(tmp_path_factory.mktemp("authority"))
    os.environ["SSL_CERT_FILE"] = str(authority.file)


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """New passwords that take a millisecond to check, where this process makes them."""
    passwords.new_cost = CHEAP_BCRYPT


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this test run, started when a test first asks for it."""
    server = PostgresServer()
    yield server
    server.discard()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty PostgreSQL database of the test's own.

    A test may stop and restart `postgres_server`; the next test finds it running.
    """
    postgres_server.start()
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.start()
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn: a test that uses this, or what is made from it, runs on both."""
    return str(request.param)


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database on `engine`: an SQLite file, or PostgreSQL."""
    if engine == "sqlite":
        return f"sqlite:///{tmp_path / 'commissaire.db'}"
    return str(request.getfixturevalue("postgres_url"))
