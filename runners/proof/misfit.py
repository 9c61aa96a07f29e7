"""Is the log the one that a signed checkpoint is of, or less of it, or another one?"""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from domain.aggregates.log_history import NAME, KeyRotated, LogHistory
from domain.log import recorder
from domain.log.engine import Place
from domain.log.mapper import to_event
from domain.log.transaction import Transaction
from domain.log.tree import kept, note
from domain.log.tree.checkpoint import Checkpoint
from domain.log.tree.hashing import Frontier
from domain.log.tree.kept import BrokenTree
from domain.log.tree.leaf import hash_of
from domain.log.tree.note import Note, SecretKey, WrongNote

ROWS_AT_ONCE = 1000
NAME_DIGITS = 12
"""Of a root, in the name of a log that an operator accepts."""


class Misfit(NamedTuple):
    """The log is not the one that was marked, or less of it."""

    marked: Checkpoint
    size: int
    """So many events there are instead."""
    root: bytes
    found: Place
    why: str

    @property
    def name(self) -> str:
        """Of the log that there is; what `--accept-log` takes."""
        return f"{self.size}-{self.root.hex()[:NAME_DIGITS]}"


def held_against(
    tx: Transaction,
    marked: Checkpoint,
    signed: Note,
    key: SecretKey | None,
    log: Callable[..., None],
) -> Misfit | None:
    """What is wrong with the log by a checkpoint of it, which a note with signatures has."""
    is_signed = any(signed.is_signed_by(each) for each in _keys(tx, key))
    told = ""  # where the tree is behind, or cannot be used, others say so
    with suppress(BrokenTree):
        told = _why(_by_tree(tx, marked.size), marked, is_signed=is_signed)
        if not told:
            return None
    found = _by_rows(tx, marked.size)
    why = _why(found, marked, is_signed=is_signed)
    if why:
        return Misfit(marked, found.size, found.root, recorder.newest(tx), why)
    if told:
        reason = "The log is what its mark says, and its tree is not: see commissaire log check"
        log("log.tree_altered", level="warning", reason=reason)
    return None


def _keys(tx: Transaction, key: SecretKey | None) -> list[note.PublicKey]:
    """All that this log was ever signed with."""
    keys = [key.public] if key else []
    for stored in recorder.stream(tx, f"{LogHistory.KIND}/{NAME}"):
        event = to_event(stored)
        if isinstance(event, KeyRotated):
            with suppress(WrongNote):
                keys.append(note.public_key(event.key_before))
    return keys


class _Log(NamedTuple):
    """The log as it is now, and what its root was at the size of the mark."""

    size: int
    root: bytes
    root_then: bytes


def _why(found: _Log, marked: Checkpoint, *, is_signed: bool) -> str:
    """Why the log is not what the mark says; "" where it is."""
    if marked.size > found.size:
        return f"it has {found.size} events, and had {marked.size}"
    if not is_signed:
        return "its mark is signed by no key of it: it is another log, or older than its key"
    if found.root_then != marked.root:
        return f"its first {marked.size} events are not those that it had"
    return ""


def _by_tree(tx: Transaction, size: int) -> _Log:
    """As the tree has it. Raises `BrokenTree` where that does not end where the rows do."""
    tree = kept.tree(tx)
    if tree.position != recorder.head(tx).position:
        raise BrokenTree("it does not end where the log does")
    now = tree.frontier
    if size > now.size:
        return _Log(now.size, now.root, b"")
    return _Log(now.size, now.root, now.root if size == now.size else kept.root_at(tx, size))


def _by_rows(tx: Transaction, size: int) -> _Log:
    """Of an old log, or where its tree says something else: all of it is hashed."""
    frontier, then, position = Frontier(), Frontier(), 0
    while rows := recorder.rows(tx, position, ROWS_AT_ONCE):
        hashes, more = [hash_of(*row) for row in rows], size - frontier.size
        if 0 <= more <= len(hashes):
            then, _ = frontier.extended(hashes[:more])
        frontier, _ = frontier.extended(hashes)
        position = rows[-1][0]
    return _Log(frontier.size, frontier.root, then.root)
