"""A commit that was answered is on the disk: no setting of the database's makes it wait less."""

import psycopg
import pytest
from psycopg import sql

from tests.support.stores import Store, done

SYNCHRONOUS_FULL = 2


def setting_while_appending(store: Store, statement: str) -> object:
    """What the transaction that appends is told."""
    with store.writer(store.another_engine()) as writer:
        found = done(writer, lambda unit: unit.tx.execute(statement).fetchone())
    return found[0]


def test_sqlite_syncs_every_commit(sqlite_store: Store) -> None:
    assert setting_while_appending(sqlite_store, "PRAGMA synchronous") == SYNCHRONOUS_FULL
    assert setting_while_appending(sqlite_store, "PRAGMA journal_mode") == "wal"


@pytest.mark.parametrize(
    ("set_to", "used"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")]
)
def test_postgresql_syncs_every_commit_though_its_database_is_set_not_to(
    postgres_store: Store, set_to: str, used: str
) -> None:
    with psycopg.connect(postgres_store.url, autocommit=True) as connection:
        assert connection.info.dbname.startswith("test_")
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit = {}").format(
                sql.Identifier(connection.info.dbname), sql.Literal(set_to)
            )
        )
    assert setting_while_appending(postgres_store, "SHOW synchronous_commit") == used
