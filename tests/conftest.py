"""What every test can ask for: databases of both engines, real ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.postgres import PostgresServer

# How long an example takes says how busy the machine is.
settings.register_profile("commissaire", deadline=None)
settings.load_profile("commissaire")


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
