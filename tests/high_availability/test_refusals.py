"""A database that answers and refuses: said by who is asked, and over as soon as it is mended."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.high_availability.pair import Pair
from tests.high_availability.test_dead_machines import kinds, superuser
from tests.high_availability.traffic import ready
from tests.support.postgres import HOST, PostgresServer
from tests.support.service import Service, wait_for

FLAGS = ("--command-timeout-s", "2", "--lease-s", "3")
SOME = ("lease_claims", "lease_members", "stored_events", "vault", "projection_positions")
Fault = Callable[[psycopg.Connection, str], AbstractContextManager[None]]


@contextmanager
def renamed(admin: psycopg.Connection, table: str) -> Iterator[None]:
    """A table that is not where it was."""
    names = sql.Identifier(table), sql.Identifier("elsewhere")
    rename = sql.SQL("ALTER TABLE {} RENAME TO {}")
    admin.execute(rename.format(*names))
    yield
    admin.execute(rename.format(*reversed(names)))


@contextmanager
def revoked(admin: psycopg.Connection, table: str) -> Iterator[None]:
    """A table that may be read, and not written."""
    name = sql.Identifier(table)
    admin.execute(sql.SQL("REVOKE INSERT, UPDATE, DELETE ON {} FROM commissaire").format(name))
    yield
    admin.execute(sql.SQL("GRANT INSERT, UPDATE, DELETE ON {} TO commissaire").format(name))


def said(service: Service) -> str:
    """What `/readyz` says is refused."""
    parts = httpx.get(f"{service.url}/readyz", timeout=30).json()["parts"]
    return " ".join(part["reason"] for part in parts if part.get("kind") == "database.refuses")


@pytest.mark.parametrize("fault", [renamed, revoked])
@pytest.mark.parametrize("of", [SOME, pytest.param((), id="all", marks=pytest.mark.proof)])
def test_whichever_table_is_refused_is_named_until_it_is_mended(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, fault: Fault, of: list[str]
) -> None:
    with (
        Service(tmp_path / "service", postgres_url, *FLAGS) as service,
        superuser(postgres_server, postgres_url) as admin,
    ):
        found = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for table in of or [name for (name,) in found.fetchall()]:
            with fault(admin, table):
                wait_for(lambda t=table: t in said(service))  # type: ignore[misc]  # binds it
            wait_for(lambda: service.client.put("/cluster/web").status_code in {200, 201})
            wait_for(lambda: ready(service))
            assert '"level":"error"' not in service.read_log()


def test_a_search_path_without_the_tables_is_named_until_it_is_mended(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'commissaire'"
    database = sql.Identifier(postgres_url.rpartition("/")[2])
    with (
        Service(tmp_path / "service", postgres_url, *FLAGS) as service,
        superuser(postgres_server, postgres_url) as admin,
    ):
        change = sql.SQL("ALTER DATABASE {} SET search_path = nowhere").format(database)
        admin.execute(change)
        admin.execute(end)
        wait_for(lambda: "does not exist" in said(service))
        for answer in (service.client.put("/cluster/web"), service.client.get("/clusters")):
            assert answer.status_code == 503
            assert "refuses what it is asked" in answer.json()["detail"]
        change = sql.SQL("ALTER DATABASE {} RESET search_path").format(database)
        admin.execute(change)
        admin.execute(end)
        wait_for(lambda: service.client.put("/cluster/web").status_code == 201)
        wait_for(lambda: ready(service))


def test_a_server_that_takes_no_writes_is_named_and_read_from(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    place = f"{HOST}:{postgres_server.port}"
    with (
        Service(tmp_path / "service", postgres_url, *FLAGS) as service,
        superuser(postgres_server, postgres_url) as admin,
    ):
        assert service.client.put("/cluster/web").status_code == 201
        database = sql.Identifier(postgres_url.rpartition("/")[2])
        read_only = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
        admin.execute(read_only.format(database))
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'commissaire'"
        admin.execute(end)
        wait_for(lambda: "database.read_only" in kinds(service))
        refused = service.client.put("/cluster/other")
        assert refused.status_code == 503
        assert f"takes no writes ({place}: " in refused.json()["detail"]
        assert service.client.get("/clusters").json() == ["web"]
        read_only = sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only")
        admin.execute(read_only.format(database))
        admin.execute(end)
        wait_for(lambda: service.client.put("/cluster/other").status_code == 201)
        wait_for(lambda: ready(service))


def test_a_server_that_was_set_to_take_no_writes_is_left_for_the_one_that_does(
    pair: Pair, tmp_path: Path
) -> None:
    with Service(tmp_path / "service", pair.url, *FLAGS) as service:
        assert service.client.put("/cluster/web").status_code == 201
        pair.first.ask("ALTER SYSTEM SET default_transaction_read_only = on")
        pair.first.ask("SELECT pg_reload_conf()")
        wait_for(lambda: "database.read_only" in kinds(service))
        refused = service.client.put("/cluster/other")
        assert refused.status_code == 503
        assert "takes no writes" in refused.json()["detail"]
        assert f"{HOST}:{pair.first.port}" in refused.json()["detail"]
        pair.wait_for_standby()
        pair.second.promote()  # while the first is still there
        wait_for(lambda: service.client.put("/cluster/other").status_code == 201)
        for _ in range(20):
            assert service.client.get("/clusters").json() == ["other", "web"]
        wait_for(lambda: ready(service))
