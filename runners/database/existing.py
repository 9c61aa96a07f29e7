"""A database that is there already: what commands beside `serve` read, and never make.

They find it as `serve` does, take no lock of it, need no master key, and work the same on a
directory that is being served, on PostgreSQL, and on a restored backup.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runners.settings.reading import settings_of
from runners.settings.settings import Settings

if TYPE_CHECKING:  # what is only imported when it is needed: `--help` is to be quick
    from domain.log.engine import Engine

CONNECTIONS_MAX = 2
FULL_WAIT_S = 5.0
"""How long a command waits for a free connection."""
FULL_PAUSE_S = 0.2
FULL = ("too many", "remaining connection slots")
"""What PostgreSQL and PgBouncer say where they take no more connections."""
FULL_CURE = (
    " Raise max_connections (or the limit of the role), or give the processes of the service fewer"
    " (--database-connections)."
)


class DatabaseRefused(Exception):
    """There is no database to work on, or it cannot be used; the sentence says why."""


class NoDatabase(DatabaseRefused):
    """There is none where it was looked for."""


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
    from domain.log.engines.postgres import PostgresEngine
    from domain.log.engines.sqlite import SQLiteEngine

    url = settings.database_url
    if url is not None:
        _must_answer(url, settings)
        return PostgresEngine(url, connections_max=CONNECTIONS_MAX)
    if not settings.database_file.exists():
        raise NoDatabase(f"There is no database {settings.database_file}: is --data right?")
    return SQLiteEngine(settings.database_file, read_only=not writes)


def _must_answer(url: str, settings: Settings) -> None:
    """Because the pool of connections does not tell why there is none."""
    import psycopg

    from domain.log.engines.postgres_connection import Connection
    from domain.log.engines.postgres_servers import Servers

    servers = Servers(url)
    deadline = time.monotonic() + FULL_WAIT_S
    while True:
        try:
            connection = servers.connect(Connection.connect)
        except psycopg.Error as error:
            is_full = any(words in servers.why_not for words in FULL)
            if not is_full or time.monotonic() > deadline:
                why = f"{settings.database_shown} cannot be reached: {error}"
                raise DatabaseRefused(f"{why}{FULL_CURE if is_full else ''}") from None
            time.sleep(FULL_PAUSE_S)
        else:
            connection.close()
            return


def _must_have_a_log(engine: "Engine", settings: Settings) -> None:
    from domain.log.schema import EXISTS

    with engine.snapshot() as tx:
        if tx.execute(EXISTS[engine.name]).fetchone()[0] == 0:
            raise NoDatabase(
                f"{settings.database_shown} has no log: no service has ever run on it."
            )
