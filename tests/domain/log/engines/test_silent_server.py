"""A server that is silent, or swallows whoever connects: it holds up nobody but who asked it."""

import threading
import time

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from domain.log.engines.postgres_connection import Connection
from domain.log.engines.postgres_servers import CONNECT_TIMEOUT_S, Servers
from tests.faults.proxy import Proxy
from tests.support.postgres import HOST, PostgresServer
from tests.support.service import wait_for

SILENCE_S = 0.5
LONG_S = 30
"""How long libpq itself would wait for the request to cancel."""
LOOKS = 50


def test_a_statement_that_is_given_up_holds_up_no_other_thread(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    proxy = Proxy(HOST, postgres_server.port)
    url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    with Connection.connect(make_conninfo(url, connect_timeout=LONG_S)) as connection:
        connection.introduce()
        connection.silence_timeout_s = SILENCE_S
        proxy.freeze()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    began, looks = time.monotonic(), 0

    def cancels() -> bool:
        nonlocal looks
        looks += 1
        return looks > LOOKS or all(thread.name != "cancel" for thread in threading.enumerate())

    wait_for(cancels)  # as any other thread, which needs the interpreter for that
    took_s = time.monotonic() - began
    proxy.close()
    wait_for(lambda: all(thread.name != "cancel" for thread in threading.enumerate()))
    assert took_s < LONG_S / 2
    assert looks > LOOKS, "nothing was cancelled"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@h1:5432,h2:6432/db",
        "postgresql://u@/db?host=h1,h2&port=5432,6432",
        "host=h1,h2 port=5432,6432 user=u dbname=db",
    ],
)
def test_each_server_that_a_url_names_in_any_form_gets_its_try(url: str) -> None:
    assert [(one["host"], one["port"]) for one in tried(url)] == [("h1", "5432"), ("h2", "6432")]
    assert {one["target_session_attrs"] for one in tried(url)} == {"read-write"}


def test_an_attempt_takes_as_long_as_the_url_says_or_three_seconds() -> None:
    url = "postgresql://u@h1,h2/db"
    assert {one["connect_timeout"] for one in tried(url)} == {str(CONNECT_TIMEOUT_S)}
    assert {one["connect_timeout"] for one in tried(f"{url}?connect_timeout=7")} == {"7"}
    assert Servers(f"{url}?connect_timeout=7").attempts_s == 14


def test_one_server_is_taken_as_it_is() -> None:
    (one,) = tried("postgresql://u@h1/db")
    assert "target_session_attrs" not in one


def tried(url: str) -> list[dict[str, str]]:
    """With what it is tried to connect, where nobody answers."""
    found = []

    def attempt(conninfo: str) -> Connection:
        found.append({k: str(v) for k, v in psycopg.conninfo.conninfo_to_dict(conninfo).items()})
        raise psycopg.OperationalError("nobody")

    with pytest.raises(psycopg.OperationalError, match="h1"):
        Servers(url).connect(attempt)
    return found
