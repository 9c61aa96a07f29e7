"""The tests' own PostgreSQL server keeps what the other tests rely on."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import HOST, POLL_S, PostgresServer

DEATH_TIMEOUT_S = 20

# Starts a server, tells where it is, and waits to be killed.
VICTIM = """
from tests.support.postgres import PostgresServer
server = PostgresServer()
print(server.port, server.directory, flush=True)
input()
"""


def test_each_test_gets_an_empty_database_of_its_own(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    other = postgres_server.create_database()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    with psycopg.connect(postgres_server.url(other)) as connection:
        tables = connection.execute("SELECT 1 FROM pg_tables WHERE tablename = 'mine'").fetchall()
    postgres_server.drop_database(other)
    assert tables == []


def test_the_product_is_no_superuser(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SHOW is_superuser").fetchone()
    assert row == ("off",)


def test_what_was_committed_survives_a_crash_of_the_server(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS id")
        connection.commit()
        postgres_server.restart("immediate")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT id FROM kept").fetchone() == (7,)


def test_a_server_that_is_stopped_refuses_connections(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    postgres_server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_url)


def test_the_server_dies_with_its_test_process_and_leaves_nothing() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        port, directory = victim.stdout.readline().split()
        victim.kill()
    deadline = time.monotonic() + DEATH_TIMEOUT_S
    while Path(directory).exists():
        assert time.monotonic() < deadline, "the server outlived the process that started it"
        time.sleep(POLL_S)
    with socket.socket() as client:
        assert client.connect_ex((HOST, int(port))) != 0


def test_an_engine_s_database_is_empty_and_at_its_address(engine: str, database_url: str) -> None:
    if engine == "sqlite":
        assert not Path(database_url.removeprefix("sqlite:///")).exists()
    else:
        with psycopg.connect(database_url) as connection:
            assert connection.execute("SELECT current_schema()").fetchone() == ("public",)
