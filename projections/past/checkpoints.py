"""Checkpoints: what was known of the fleet at some positions of the log, so that a question about a
time goes on from there and not from the beginning.

They are kept beside the log, and made from nothing but the log: without them every answer is the
same, only later. Another version of a projection drops them. A checkpoint is the image of a
`Scratch` (`projections/past/past.py`), compressed, in pieces that do not hold a writer up.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import uuid4

from domain.log.transaction import EngineName, Transaction
from projections.past.past import FLEET, Scratch
from projections.tables import BYTES, TEXT

INTERVAL_EVENTS = 65_536
"""So many positions lie between two checkpoints, or a power of two as many in a long log."""
COUNT_MAX = 64
BYTES_MAX = 64 * 1024 * 1024
"""What all of them take at most: the larger the fleet, the fewer there are."""
PIECE_BYTES = 256 * 1024
COMPRESSION_LEVEL = 1

VERSION = "2 " + " ".join(f"{projection.name}-{projection.version}" for projection in FLEET)
"""Of the image, and of what is in it."""


class Checkpoint(NamedTuple):
    """A checkpoint in the table, without its image."""

    position: int
    version: str
    image: str
    pieces: int
    bytes: int


def schema(engine: EngineName) -> list[str]:
    """Statements that create the tables where they are not there."""
    text = TEXT[engine]
    return [
        f"""
        CREATE TABLE IF NOT EXISTS checkpoints (
            position BIGINT PRIMARY KEY,
            version {text} NOT NULL,
            image {text} NOT NULL,
            pieces BIGINT NOT NULL,
            bytes BIGINT NOT NULL
        )
        """,
        f"""
        CREATE TABLE IF NOT EXISTS checkpoint_pieces (
            image {text} NOT NULL,
            piece BIGINT NOT NULL,
            content {BYTES[engine]} NOT NULL,
            PRIMARY KEY (image, piece)
        )
        """,
    ]


ARE_THERE: dict[EngineName, str] = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE name = 'checkpoints'",
    "postgresql": "SELECT count(*) FROM pg_class WHERE oid = to_regclass('checkpoints')",
}
ALL = "SELECT position, version, image, pieces, bytes FROM checkpoints ORDER BY position"
BEFORE = """
    SELECT position, version, image, pieces, bytes FROM checkpoints
    WHERE version = ? AND position > ? AND position <= ? ORDER BY position DESC
"""
CONTENT = "SELECT content FROM checkpoint_pieces WHERE image = ? ORDER BY piece"
KEEP_PIECE = "INSERT INTO checkpoint_pieces (image, piece, content) VALUES (?, ?, ?)"
# Whoever tidies up meanwhile may have taken a piece for a leftover.
KEEP = """
    INSERT INTO checkpoints (position, version, image, pieces, bytes)
    SELECT CAST(? AS BIGINT), ?, ?, CAST(? AS BIGINT), CAST(? AS BIGINT)
    WHERE (SELECT count(*) FROM checkpoint_pieces WHERE image = ?) = ?
    ON CONFLICT (position) DO NOTHING
"""
LEFTOVERS = """
    SELECT image, piece FROM checkpoint_pieces
    WHERE image NOT IN (SELECT image FROM checkpoints)
"""


def all_of_them(tx: Transaction) -> list[Checkpoint]:
    """The checkpoints of every version, by position."""
    return [Checkpoint(*row) for row in tx.execute(ALL).fetchall()]


def resume(tx: Transaction, scratch: Scratch, up_to: int) -> None:
    """Let the tables be as at the last checkpoint up to a position, where that is further."""
    if not tx.execute(ARE_THERE[tx.engine]).fetchone()[0]:
        return  # a copy of a database that this version has never served
    found = tx.execute(BEFORE, (VERSION, scratch.position, up_to)).fetchall()
    for checkpoint in map(Checkpoint._make, found):
        content = [bytes(row[0]) for row in tx.execute(CONTENT, (checkpoint.image,)).fetchall()]
        try:
            # zlib checks its own sum: what was damaged is no image.
            scratch.restore(zlib.decompress(b"".join(content)), checkpoint.position)
        except (zlib.error, sqlite3.Error):
            continue  # as if it were not there
        return


class Plan(NamedTuple):
    """What is to be done, so that as many as may be lie evenly over the log."""

    missing: list[int]
    obsolete: list[int]


def plan(head: int, known: Sequence[Checkpoint]) -> Plan:
    """The checkpoints to keep and to make, for a log that ends at `head` and these that are there.

    Once there are fewer to a length of the log there are never more again: else those of a size
    near the limit would be dropped and made, again and again.
    """
    ours = [checkpoint for checkpoint in known if checkpoint.version == VERSION]
    largest = max((checkpoint.bytes for checkpoint in ours), default=1)
    count = max(1, min(COUNT_MAX, BYTES_MAX // largest))
    step = min((checkpoint.position for checkpoint in ours), default=INTERVAL_EVENTS)
    while head // step > count:
        step *= 2
    wanted = range(step, head + 1, step)
    kept = {checkpoint.position for checkpoint in ours if checkpoint.position in wanted}
    return Plan(
        [position for position in wanted if position not in kept],
        [checkpoint.position for checkpoint in known if checkpoint.position not in kept],
    )


class Pieces:
    """An image that is written piece by piece, and is a checkpoint once it is whole."""

    def __init__(self, scratch: Scratch) -> None:
        self.image = uuid4().hex
        self._position = scratch.position
        self._content = zlib.compress(scratch.image(), COMPRESSION_LEVEL)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """The number and the content of each piece."""
        for number, begin in enumerate(range(0, len(self._content), PIECE_BYTES)):
            yield number, self._content[begin : begin + PIECE_BYTES]

    def keep_piece(self, tx: Transaction, number: int, content: bytes) -> None:
        """Write one piece."""
        tx.execute(KEEP_PIECE, (self.image, number, content))

    def finish(self, tx: Transaction) -> None:
        """Let it be used, where it is whole and nobody else was first."""
        size = len(self._content)
        pieces = -(-size // PIECE_BYTES)
        tx.execute(KEEP, (self._position, VERSION, self.image, pieces, size, self.image, pieces))


def drop(tx: Transaction, position: int) -> None:
    """Let it be used no more; its pieces are leftovers."""
    tx.execute("DELETE FROM checkpoints WHERE position = ?", (position,))


def leftovers(tx: Transaction) -> list[tuple[str, int]]:
    """Pieces of what is no checkpoint (any more): image and number."""
    return [(row[0], row[1]) for row in tx.execute(LEFTOVERS).fetchall()]


def drop_piece(tx: Transaction, image: str, number: int) -> None:
    """Delete one piece."""
    tx.execute("DELETE FROM checkpoint_pieces WHERE image = ? AND piece = ?", (image, number))
