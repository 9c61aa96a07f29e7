"""A database that is there already: what commands beside `serve` read, and never make.

They find it as `serve` does, take no lock of it, need no master key, and work the same on a
directory that is being served, on PostgreSQL, and on a restored backup.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runners.settings.reading import settings_of
from runners.settings.settings import Settings

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from domain.log.engine import Engine

CONNECT_TIMEOUT_S = 5


class DatabaseRefused(Exception):
    """There is no database to work on, or it cannot be used; the sentence says why."""


@contextmanager
def existing_database(
    config: str | None, data: str | None, database: str | None, *, writes: bool = False
) -> "Iterator[Engine]":
    """The database that `serve` uses with the same options and the same environment.

    Without `writes` nothing in it is changed. Raises WrongSettings, and DatabaseRefused also for
    whatever goes wrong with the database while it is used.
    """
    from domain.log.engine import PersistenceError

    settings = settings_of(config=config, data=data, database=database)
    # The pool of connections tells of each attempt; what becomes of it is told once, below.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    try:
        engine = _open(settings, writes=writes)
        try:
            _must_have_a_log(engine, settings)
            yield engine
        finally:
            engine.close()
    except PersistenceError as error:
        raise DatabaseRefused(f"{settings.database_shown} cannot be used: {error}") from error


def _open(settings: Settings, *, writes: bool) -> "Engine":
    from domain.log.postgres import PostgresEngine
    from domain.log.sqlite import SQLiteEngine

    url = settings.database_url
    if url is not None:
        _must_answer(url, settings)
        return PostgresEngine(url)
    if not settings.database_file.exists():
        raise DatabaseRefused(f"There is no database {settings.database_file}: is --data right?")
    return SQLiteEngine(settings.database_file, read_only=not writes)


def _must_answer(url: str, settings: Settings) -> None:
    """Because the pool of connections does not tell why there is none."""
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S).close()
    except psycopg.Error as error:
        why = " ".join(str(error).split())
        raise DatabaseRefused(f"{settings.database_shown} cannot be reached: {why}") from None


def _must_have_a_log(engine: "Engine", settings: Settings) -> None:
    from domain.log.schema import EXISTS

    with engine.snapshot() as tx:
        if tx.execute(EXISTS[engine.name]).fetchone()[0] == 0:
            raise DatabaseRefused(
                f"{settings.database_shown} has no log: no service has ever run on it."
            )
