"""Whether the tables that serve say what the log says: folded anew in memory, and compared."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from domain.log import recorder
from domain.log.engine import Engine
from domain.log.transaction import Transaction
from projections.projection import Fold, Projection, made
from projections.tables import (
    Difference,
    MemoryTables,
    Table,
    Values,
    differences,
    every_row,
    fits,
)

BATCH_EVENTS = 5_000

Advance = Callable[[int, int], None]
"""Told how far it is, and how far the log goes."""


class Digest:
    """SHA-256 over rows of tables, as they pass by."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.rows = 0

    def passing(self, table: Table[Any], rows: Iterator[Values]) -> Iterator[Values]:
        """The same rows, each added to the digest as it passes."""
        self._sha256.update(table.name.encode())
        for row in rows:
            self._sha256.update(orjson.dumps(row))
            self.rows += 1
            yield row

    def __str__(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"


def digest(tx: Transaction, projection: Projection) -> str:
    """Over all rows of a projection's tables, in the order of their keys."""
    found = Digest()
    for table in projection.tables:
        for _ in found.passing(table, every_row(tx, table)):
            pass
    return str(found)


@dataclass(frozen=True)
class Verdict:
    """What verification found of one projection."""

    name: str
    position: int
    """Of the log, up to where both were compared."""
    rows: int
    live: str
    rebuilt: str
    """Digests; "" where there was nothing to compare."""
    wrong: str = ""
    """What is not as it should be, first of all: a sentence; "" where all is."""


def verify(
    engine: Engine,
    projections: Sequence[Projection],
    advance: Advance = lambda position, head: None,
    batch: int = BATCH_EVENTS,
) -> list[Verdict]:
    """Fold the log anew, and hold it against the tables at one position, whoever writes meanwhile.

    Raises `PersistenceError` where the database cannot be read.
    """
    tables = MemoryTables()
    fold = Fold(projections, tables)
    while True:
        with engine.snapshot() as tx:
            head = recorder.head(tx).position
            rows = recorder.rows(tx, fold.position, batch)
            if len(rows) < batch:  # little is missing: in this very state
                fold.add(rows)
                return [_judge(tx, each, fold, tables) for each in projections]
        fold.add(rows)
        advance(fold.position, head)


def _judge(tx: Transaction, projection: Projection, fold: Fold, tables: MemoryTables) -> Verdict:
    name, found = projection.name, made(tx).get(projection.name)
    position = found.position if found else 0
    why = ""
    if halt := fold.stops.get(name):
        why = halt.why
    elif position != fold.position:
        why = f"It is at position {position} of the log, which goes to {fold.position}."
    elif not all(fits(tx, table) for table in projection.tables):
        why = "Its tables have other columns."
    if why:
        return Verdict(name, position, 0, "", "", why)
    live, rebuilt = Digest(), Digest()
    for table in projection.tables:
        wanted = rebuilt.passing(table, tables.values(table))
        for difference in differences(live.passing(table, every_row(tx, table)), wanted):
            why = why or _told(table, difference)
    return Verdict(name, position, live.rows, str(live), str(rebuilt), why)


def _told(table: Table[Any], difference: Difference) -> str:
    key, live, rebuilt = difference
    if rebuilt is None:
        return f"{table.name}: there is a row {key!r}, and there should be none."
    if live is None:
        return f"{table.name}: there is no row {key!r}, and there should be one."
    column, ours, theirs = next(
        (column, ours, theirs)
        for column, ours, theirs in zip(table.columns, live, rebuilt, strict=True)
        if ours != theirs
    )
    return f"{table.name}: row {key!r} has {column} {ours!r}, and it should be {theirs!r}."
