"""Rows of a read model, the same to a projection whether they are kept in a database or not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from domain.log.transaction import EngineName, Transaction

R = TypeVar("R")

TEXT: dict[EngineName, str] = {"sqlite": "TEXT", "postgresql": 'TEXT COLLATE "C"'}
"""Text that sorts by code point on both engines."""
BYTES: dict[EngineName, str] = {"sqlite": "BLOB", "postgresql": "BYTEA"}
PAGE_ROWS = 2_000
"""How many rows of a whole table are read at once."""

COLUMNS: dict[EngineName, str] = {
    "sqlite": "SELECT name FROM pragma_table_info(?)",
    "postgresql": """
        SELECT attname FROM pg_attribute
        WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped
    """,
}

CLUSTERED: dict[EngineName, str] = {"sqlite": "WITHOUT ROWID", "postgresql": ""}
"""Rows in the order of their keys: SQLite would keep the keys in a second tree, and every change
would write a page of it."""


@dataclass(frozen=True)
class Table(Generic[R]):
    """What a table is called, what its rows are, and how it is created.

    `row` is a dataclass whose first field is the primary key. `create` is SQL with `{table}` for
    the name, `{text}` for the type of text, and `{clustered}` after the columns. `derive` fills in
    the columns that others of the row say already, such as its record: once, when it is written,
    however often it changed before.
    """

    name: str
    row: type[R]
    create: tuple[str, ...]
    derive: Callable[[R], None] | None = None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The fields of the row, the key first."""
        return tuple(field.name for field in fields(self.row))  # type: ignore[arg-type] # no Protocol for dataclasses

    @cached_property
    def key(self) -> Callable[[R], str]:
        """The key of a row."""
        return attrgetter(self.columns[0])

    @cached_property
    def values(self) -> Callable[[R], tuple[Any, ...]]:
        """All values of a row, in the order of the columns."""
        values, derive = attrgetter(*self.columns), self.derive
        if derive is None:
            return values

        def whole(row: R) -> tuple[Any, ...]:
            derive(row)
            return values(row)

        return whole

    @cached_property
    def select(self) -> str:
        """One row by its key."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name} WHERE {self.columns[0]} = ?"

    @cached_property
    def upsert(self) -> str:
        """One row, new or not."""
        key, *rest = self.columns
        marks = ", ".join("?" * len(self.columns))
        changes = ", ".join(f"{column} = excluded.{column}" for column in rest)
        return (
            f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES ({marks})"
            f" ON CONFLICT ({key}) DO UPDATE SET {changes}"
        )

    @cached_property
    def delete(self) -> str:
        """One row by its key."""
        return f"DELETE FROM {self.name} WHERE {self.columns[0]} = ?"

    @cached_property
    def scan(self) -> str:
        """All rows, in the order of their keys."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name} ORDER BY {self.columns[0]}"

    @cached_property
    def first_page(self) -> str:
        """The first rows, in the order of their keys."""
        return f"{self.scan} LIMIT {PAGE_ROWS}"

    @cached_property
    def next_page(self) -> str:
        """The rows that follow a key."""
        key = self.columns[0]
        return (
            f"SELECT {', '.join(self.columns)} FROM {self.name} WHERE {key} > ?"
            f" ORDER BY {key} LIMIT {PAGE_ROWS}"
        )

    @cached_property
    def drop(self) -> str:
        """Take the table away, with its rows."""
        return f"DROP TABLE IF EXISTS {self.name}"

    def schema(self, engine: EngineName) -> list[str]:
        """Statements that create it where it is not there."""
        words = {"table": self.name, "text": TEXT[engine], "clustered": CLUSTERED[engine]}
        return [sql.format_map(words) for sql in self.create]


def columns(tx: Transaction, table: Table[Any]) -> set[str]:
    """The columns that a table of this name has in the database; none where there is none."""
    return {row[0] for row in tx.execute(COLUMNS[tx.engine], (table.name,)).fetchall()}


def fits(tx: Transaction, table: Table[Any]) -> bool:
    """Whether the table in the database has the columns of its rows."""
    return columns(tx, table) == set(table.columns)


def every_row(tx: Transaction, table: Table[Any]) -> Iterator[tuple[Any, ...]]:
    """The values of all rows, in the order of their keys; rows that were passed may be changed."""
    page = tx.execute(table.first_page).fetchall()
    while page:
        yield from page
        if len(page) < PAGE_ROWS:
            return
        page = tx.execute(table.next_page, (page[-1][0],)).fetchall()


Values = tuple[Any, ...]


class Difference(NamedTuple):
    """A row that only one of two tables has, or that they have not in common."""

    key: str
    live: Values | None
    wanted: Values | None


def differences(live: Iterator[Values], wanted: Iterator[Values]) -> Iterator[Difference]:
    """What two tables do not have in common, row by row; both in the order of their keys."""
    ours, theirs = next(live, None), next(wanted, None)
    while ours is not None and theirs is not None:
        if ours[0] < theirs[0]:
            yield Difference(ours[0], ours, None)
            ours = next(live, None)
        elif theirs[0] < ours[0]:
            yield Difference(theirs[0], None, theirs)
            theirs = next(wanted, None)
        else:
            if ours != theirs:
                yield Difference(ours[0], ours, theirs)
            ours, theirs = next(live, None), next(wanted, None)
    while ours is not None:
        yield Difference(ours[0], ours, None)
        ours = next(live, None)
    while theirs is not None:
        yield Difference(theirs[0], None, theirs)
        theirs = next(wanted, None)


class Rows(Protocol[R]):
    """The rows of one table, as a projection sees them."""

    def get(self, key: str) -> R | None:
        """The row of this key; change it only together with `put`."""
        ...

    def put(self, row: R) -> None:
        """Keep a row, in place of the one with the same key."""
        ...

    def delete(self, key: str) -> None:
        """Drop the row of this key, if there is one."""
        ...


class TableAccess(Protocol):
    """The tables that a projection may use."""

    def __call__(self, table: Table[R]) -> Rows[R]:
        """The rows of a table."""
        ...


class MemoryRows(Generic[R]):
    """Rows that are only in memory: for rebuilds, verification, and questions about the past."""

    def __init__(self, table: Table[R]) -> None:
        self._key = table.key
        self.rows: dict[str, R] = {}

    def get(self, key: str) -> R | None:
        return self.rows.get(key)

    def put(self, row: R) -> None:
        self.rows[self._key(row)] = row

    def delete(self, key: str) -> None:
        self.rows.pop(key, None)


class StoredRows(Generic[R]):
    """Rows in a database: read when they are asked for, written once at the end."""

    def __init__(self, table: Table[R], tx: Transaction) -> None:
        self._table = table
        self._tx = tx
        self._known: dict[str, R | None] = {}
        self._changed: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> R | None:
        if key not in self._known:
            found = self._tx.execute(self._table.select, (key,)).fetchone()
            self._known[key] = None if found is None else self._table.row(*found)
        return self._known[key]

    def put(self, row: R) -> None:
        key = self._table.key(row)
        self._known[key] = row
        self._changed[key] = None

    def delete(self, key: str) -> None:
        self._known[key] = None
        self._changed[key] = None

    def flush(self) -> None:
        """Write what changed."""
        gone, there = [], []
        for key in self._changed:
            row = self._known[key]
            if row is None:
                gone.append((key,))
            else:
                there.append(self._table.values(row))
        for sql, each in ((self._table.delete, gone), (self._table.upsert, there)):
            if each:
                self._tx.execute_each(sql, each)
        self._changed.clear()

    def forget(self) -> None:
        """Read what is needed again; what changed has been written."""
        self._known.clear()


class StoredTables:
    """The tables of a database, for one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._opened: dict[str, StoredRows[Any]] = {}

    def __call__(self, table: Table[R]) -> Rows[R]:
        rows = self._opened.get(table.name)
        if rows is None:
            rows = self._opened[table.name] = StoredRows(table, self._tx)
        return rows

    @property
    def row_count(self) -> int:
        """How many rows are in memory."""
        return sum(len(rows) for rows in self._opened.values())

    def flush(self) -> None:
        """Write what changed."""
        for rows in self._opened.values():
            rows.flush()

    def forget(self) -> None:
        """Read what is needed again; what changed has been written."""
        for rows in self._opened.values():
            rows.forget()


class MemoryTables:
    """The tables of a rebuild that is not kept."""

    def __init__(self) -> None:
        self._opened: dict[str, MemoryRows[Any]] = {}

    def __call__(self, table: Table[R]) -> MemoryRows[R]:
        rows = self._opened.get(table.name)
        if rows is None:
            rows = self._opened[table.name] = MemoryRows(table)
        return rows

    def values(self, table: Table[R]) -> Iterator[Values]:
        """The values of all rows, in the order of their keys."""
        for _, row in sorted(self(table).rows.items()):
            yield table.values(row)
