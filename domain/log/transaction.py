"""One way to speak SQL to both engines: `?` placeholders, rows as tuples."""

import sqlite3
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

# Nine megabytes, and a tenth of the start: only where the database is PostgreSQL.
if TYPE_CHECKING:
    from domain.log.engines.postgres_connection import Connection

EngineName = Literal["sqlite", "postgresql"]


class Server(NamedTuple):
    """Which database server it is, and since how many promotions of a standby."""

    system: int = 0
    timeline: int = 0

    def __str__(self) -> str:
        return f"{self.system}/{self.timeline}"


NO_SERVER = Server()
"""Of a file."""


def driver_errors() -> tuple[type[Exception], ...]:
    """What a statement raises, until whoever opened the transaction translates it."""
    used = sys.modules.get("psycopg")
    return (sqlite3.Error,) if used is None else (sqlite3.Error, used.Error)


class Rows(Protocol):
    """What a statement found. Values are as the engine's driver gives them."""

    def fetchone(self) -> Any:
        """The next row as a tuple, or `None`."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left, as tuples."""
        ...


class Transaction(Protocol):
    """A transaction that is open; whoever opened it commits it."""

    @property
    def engine(self) -> EngineName:
        """Which dialect is spoken, for the few statements that differ."""
        ...

    @property
    def server(self) -> Server | None:
        """Who is asked; `None` where that is a standby, or may not be known."""
        ...

    @property
    def place(self) -> str:
        """Host and port of who is asked; "" where that is a file."""
        ...

    def execute(self, sql: str, params: Sequence[object] = ()) -> Rows:
        """Run one statement with bound parameters."""
        ...

    def execute_each(self, sql: str, each: Sequence[Sequence[object]]) -> list[Any]:
        """Run one statement several times; gives the first row of each, if it gives rows.

        A database that is asked over a socket is asked once.
        """
        ...


class SQLiteTransaction:
    """On a connection in autocommit mode, so that BEGIN and COMMIT are ours."""

    engine: EngineName = "sqlite"
    server = NO_SERVER
    place = ""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute

    def execute_each(self, sql: str, each: Sequence[Sequence[object]]) -> list[Any]:
        """Run one statement several times; gives the first row of each, if it gives rows."""
        return [self.execute(sql, params).fetchone() for params in each]


class PostgresTransaction:
    """On a psycopg connection inside `connection.transaction()`."""

    engine: EngineName = "postgresql"

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    @property
    def server(self) -> Server | None:
        """Asked again for each transaction where a pooler may have chosen another."""
        return self._connection.server or self._connection.identity()

    @property
    def place(self) -> str:
        """As the URL names it."""
        return self._connection.place

    def execute(self, sql: str, params: Sequence[object] = ()) -> Rows:
        """Run one statement with bound parameters."""
        return self._connection.execute(_psycopg_style(sql), params or None)

    def execute_each(self, sql: str, each: Sequence[Sequence[object]]) -> list[Any]:
        """Run one statement several times; gives the first row of each, if it gives rows."""
        with self._connection.cursor() as cursor:
            if len(each) == 1:
                cursor.execute(_psycopg_style(sql), each[0])
            else:
                cursor.executemany(_psycopg_style(sql), each, returning=True)
            return [done.fetchone() if done.description else None for done in cursor.results()]


@lru_cache(maxsize=512)
def _psycopg_style(sql: str) -> bytes:
    # psycopg takes only bytes or literal strings, so that nobody builds SQL from input: nor do we.
    return sql.replace("%", "%%").replace("?", "%s").encode() if "?" in sql else sql.encode()
