"""A mark beside the database file: how far the log had come.

It is a signed checkpoint that is some seconds old, and a line that says how far the log had come
since, sealed with the same key: a signature costs as much as a tenth of a commit. The line is
written after each commit, before anybody gets an answer, so it is never ahead of the log; what is
on the disk after a loss of power may be some seconds older than the log, and never newer. So a log
that is less than its mark, or another one, lost what was answered: its write-ahead log was deleted,
an older file was put in its place, or its tail was cut off.
"""

import asyncio
import hmac
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from domain.aggregates.log_history import NAME, KeyRotated, LogHistory
from domain.log import recorder
from domain.log.engine import Appending, Engine, PersistenceError, Place
from domain.log.mapper import to_event
from domain.log.transaction import Transaction
from domain.log.tree import checkpoint, kept, note
from domain.log.tree.checkpoint import Checkpoint
from domain.log.tree.hashing import Frontier
from domain.log.tree.kept import BrokenTree, Tree
from domain.log.tree.leaf import hash_of
from domain.log.tree.note import SecretKey, WrongNote
from domain.refusal import Refusal
from runners.proof.notary import Notary, signed

NAME_OF_FILE = "log.mark"
NOTE_BYTES = 1024
LINE_BYTES = 256
"""Each is written at once, over what was there: kill -9 leaves the old or the new."""
SEAL = b"commissaire mark"
FILE_MODE = 0o600
SYNC_EVERY_S = 5.0
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


class Mark:
    """The mark of one database file, for the process that serves it."""

    def __init__(self, file: Path, engine: Engine, notary: Notary) -> None:
        self._file = file
        self._engine = engine
        self._notary = notary
        self._key: SecretKey | None = None
        self._open: int | None = None
        self._signed: Tree | None = None
        self._lock = threading.Lock()
        """Of the open file: the writer's thread writes, another one syncs."""
        self.unwritten = ""
        """Why it cannot be written; "" where it can."""

    def misfit(self, tx: Transaction, log: Callable[..., None]) -> Misfit | None:
        """What is wrong with the log by its mark; a mark that is missing says nothing.

        From here on `note` may sign.
        """
        with suppress(Refusal):
            self._key = self._notary.key(tx)
        try:
            content = self._file.read_bytes()
            read = checkpoint.read(content[:NOTE_BYTES].decode().rstrip(" "))
            marked = self._sealed(content[NOTE_BYTES:], read.checkpoint)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, WrongNote) as error:
            # As a loss of power may leave it.
            log("log.mark_unreadable", level="warning", file=str(self._file), reason=str(error))
            return None
        frontier, why = _frontier(tx), ""
        if marked.size > frontier.size:
            why = f"it has {frontier.size} events, and had {marked.size}"
        elif not any(read.note.is_signed_by(key) for key in self._keys(tx)):
            why = "its mark is signed by no key of it: it is another log, or older than its key"
        elif _root_at(tx, marked.size, frontier) != marked.root:
            why = f"its first {marked.size} events are not those that it had"
        if not why:
            return None
        return Misfit(marked, frontier.size, frontier.root, recorder.newest(tx), why)

    def _sealed(self, line: bytes, before: Checkpoint) -> Checkpoint:
        """What the line says; what the checkpoint before it does, where it is not ours."""
        said, _, seal = line.rstrip(b" ").rpartition(b" ")
        if self._key is None or not hmac.compare_digest(seal, _seal(self._key, said)):
            return before  # another key sealed it a moment before a rotation, or it is torn
        size, root, position, time = said.decode().split(" ")
        return before._replace(
            size=int(size), root=bytes.fromhex(root), position=int(position), time=time
        )

    def _keys(self, tx: Transaction) -> list[note.PublicKey]:
        """All that this log was ever signed with."""
        keys = [self._notary.key(tx).public]
        for stored in recorder.stream(tx, f"{LogHistory.KIND}/{NAME}"):
            event = to_event(stored)
            if isinstance(event, KeyRotated):
                with suppress(WrongNote):
                    keys.append(note.public_key(event.key_before))
        return keys

    def note(self, tree: Tree) -> None:
        """The log has come so far. On the writer's thread, after the commit."""
        with self._lock:
            self._note(tree)

    def _note(self, tree: Tree) -> None:
        if self._key is None:
            return  # there was none yet
        try:
            if self._open is None:
                self._open = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
                text = signed(tree, self._key).note.encode()
                os.pwrite(self._open, text.ljust(NOTE_BYTES), 0)
            size, root = tree.frontier.size, tree.frontier.root
            said = f"{size} {root.hex()} {tree.position} {recorder.now()}Z".encode()
            line = b"%b %b" % (said, _seal(self._key, said))
            os.pwrite(self._open, line.ljust(LINE_BYTES), NOTE_BYTES)
        except OSError as error:
            self.unwritten = f"{self._file}: {error.strerror}"
            self._close()
        else:
            self.unwritten = ""

    async def run(self) -> None:
        """See to it that it is on the disk, and signed with the key of now, until cancelled."""
        threads = ThreadPoolExecutor(1, thread_name_prefix="mark")
        try:
            while True:
                await asyncio.get_running_loop().run_in_executor(threads, self.look)
                await asyncio.sleep(SYNC_EVERY_S)
        finally:
            await asyncio.to_thread(threads.shutdown)

    def look(self) -> None:
        """Have the newest mark on the disk: others may have appended, or removed the file."""
        with suppress(PersistenceError, Refusal, BrokenTree):
            with self._engine.snapshot() as tx:
                is_so = self._is_so(self._notary.key(tx), kept.tree(tx))
            if not is_so:
                # The append lock: no mark of an older moment may come after that of a commit.
                with self._engine.append(recorder.LOCK_TIMEOUT_S) as appending:
                    self._write(self._notary.key(appending.tx), appending)
        with self._lock, suppress(OSError):
            if self._open is not None:
                os.fsync(self._open)

    def _is_so(self, key: SecretKey, tree: Tree) -> bool:
        with self._lock:
            return (key, tree) == (self._key, self._signed) and self._is_there()

    def _write(self, key: SecretKey, appending: Appending) -> None:
        tree = kept.tree(appending.tx)
        with self._lock:
            self._key = key
            self._close()
            if tree.position >= appending.head.position:
                self._note(tree)
                self._signed = tree

    def _close(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            os.close(opened)

    def _is_there(self) -> bool:
        try:
            return self._open is not None and os.path.samestat(
                self._file.stat(), os.fstat(self._open)
            )
        except OSError:
            return False


def _seal(key: SecretKey, said: bytes) -> bytes:
    return hmac.digest(sha256(SEAL + key.seed).digest(), said, "sha256").hex().encode()


def _frontier(tx: Transaction) -> Frontier:
    """The tree of the log as far as its rows go: the one that is kept, if it ends where they do."""
    with suppress(BrokenTree):
        tree = kept.tree(tx)
        if tree.position == recorder.head(tx).position:
            return tree.frontier
    return _from_rows(tx)


def _root_at(tx: Transaction, size: int, frontier: Frontier) -> bytes:
    if size == frontier.size:
        return frontier.root
    with suppress(BrokenTree):
        if kept.tree(tx).frontier == frontier:
            return kept.root_at(tx, size)
    return _from_rows(tx, size).root


def _from_rows(tx: Transaction, size: int = recorder.POSITION_MAX) -> Frontier:
    """Of an old log, or of one that somebody cut: all of it is hashed."""
    frontier, position = Frontier(), 0
    while rows := recorder.rows(tx, position, min(ROWS_AT_ONCE, size - frontier.size)):
        frontier, _ = frontier.extended(hash_of(*row) for row in rows)
        position = rows[-1][0]
    return frontier
