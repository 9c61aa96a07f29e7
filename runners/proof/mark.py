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

from domain.log import recorder
from domain.log.engine import Appending, Engine, PersistenceError
from domain.log.transaction import Transaction
from domain.log.tree import checkpoint, kept
from domain.log.tree.checkpoint import Checkpoint
from domain.log.tree.kept import BrokenTree, Tree
from domain.log.tree.note import SecretKey, WrongNote
from domain.refusal import Refusal
from runners.os_support.plain_file import opened
from runners.proof.misfit import Misfit, held_against
from runners.proof.notary import Notary, signed

NAME_OF_FILE = "log.mark"
NOTE_BYTES = 1024
LINE_BYTES = 256
"""Each is written at once, over what was there: kill -9 leaves the old or the new."""
SEAL = b"commissaire mark"
SYNC_EVERY_S = 5.0


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
            content = self._content()
            read = checkpoint.read(content[:NOTE_BYTES].decode().rstrip(" "))
            marked = self._sealed(content[NOTE_BYTES:], read.checkpoint)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, WrongNote) as error:
            # As a loss of power may leave it.
            log("log.mark_unreadable", level="warning", file=str(self._file), reason=str(error))
            return None
        return held_against(tx, marked, read.note, self._key, log)

    def _content(self) -> bytes:
        descriptor = opened(self._file, os.O_RDONLY)
        try:
            return os.pread(descriptor, NOTE_BYTES + LINE_BYTES, 0)
        finally:
            os.close(descriptor)

    def _sealed(self, line: bytes, before: Checkpoint) -> Checkpoint:
        """What the line says; what the checkpoint before it does, where it is not ours."""
        said, _, seal = line.rstrip(b" ").rpartition(b" ")
        if self._key is None or not hmac.compare_digest(seal, _seal(self._key, said)):
            return before  # another key sealed it a moment before a rotation, or it is torn
        size, root, position, time = said.decode().split(" ")
        return before._replace(
            size=int(size), root=bytes.fromhex(root), position=int(position), time=time
        )

    def note(self, tree: Tree) -> None:
        """The log has come so far. On the writer's thread, after the commit."""
        with self._lock:
            self._note(tree)

    def _note(self, tree: Tree) -> None:
        if self._key is None:
            return  # there was none yet
        try:
            if self._open is None:
                self._open = opened(self._file, os.O_RDWR | os.O_CREAT)
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

    def begin_anew(self) -> None:
        """The log that there is was accepted, and says so: the mark of before counts no more."""
        with self._lock, suppress(OSError):
            if self._open is None:  # no tree is whole yet, so none was written since
                self._file.unlink()

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
        self._sync()

    def _sync(self) -> None:
        with self._lock:
            if self._open is None:
                return
            try:
                descriptor = os.dup(self._open)
            except OSError:  # so many files are open: the next look comes soon
                return
        try:
            with suppress(OSError):
                os.fsync(descriptor)  # which may take long: no commit waits for it
        finally:
            os.close(descriptor)

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
