"""A JSON object of entries by name in a file: read again when it changes, never written by half.

The users and the tokens are kept so. The service reads; the command line changes, also beside a
service that runs.
"""

import contextlib
import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from domain.names import account_name
from domain.refusal import Refusal
from projections.loop_turn import Turn

FILE_BYTES_MAX = 16 * 1024 * 1024
LOCK_WAIT_S = 10.0
LOCK_PAUSE_S = 0.02
# A file that changes twice within a tick of the kernel's clock can look the same afterwards.
SETTLED_AFTER_NS = 100_000_000

Signature = tuple[int, int, int, int]
T = TypeVar("T")


class BrokenFile(Exception):
    """The file cannot be used; the sentence says why and where."""


class ChangeRefused(Exception):
    """A change that cannot be made; the sentence says why."""


class EntriesFile(Generic[T]):
    """The entries of one file; without the file there are none.

    `read_entry(name, entry, path)` checks what JSON has for one name and raises `BrokenFile`;
    `write_entry` is the way back. While the file is broken the entries stay as they were, and
    `report` is told, once per breakage. A file that is gone has none; but where its directory was
    moved away, or what it is on was unmounted, nobody has taken them away.
    """

    def __init__(
        self,
        path: Path,
        read_entry: Callable[[str, object, Path], T],
        write_entry: Callable[[T], object],
        report: Callable[[BrokenFile], None] = lambda broken: None,
    ) -> None:
        self.path = path
        self._path_text = str(path)
        self._turn = Turn()
        self._read_entry = read_entry
        self._write_entry = write_entry
        self._report = report
        self._entries: Mapping[str, T] = MappingProxyType({})
        self._signature: Signature | None = None
        self._settled = False
        self._text: bytes | None = None
        self._directory: tuple[int, int] | None = None
        self._broken = ""

    @property
    def entries(self) -> Mapping[str, T]:
        """All entries by name; costs one stat() a turn of the event loop while nothing changes.

        The same object as long as the file says the same.
        """
        if not self._turn.is_new():
            return self._entries
        try:
            found = os.stat(self._path_text)  # noqa: PTH116 - asked with every request
            signature = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        except OSError:
            signature = None
        if signature != self._signature or not self._settled:
            self._read_again(signature)
        return self._entries

    @property
    def broken(self) -> str:
        """Why the file cannot be used as it is now, in a sentence; "" where it can."""
        _ = self.entries
        return self._broken

    def read(self) -> Mapping[str, T]:
        """All entries by name, as the file says now. Raises BrokenFile."""
        return self.parsed(_text(self.path))

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, T]]:
        """The entries, to be changed: they are written at the end of the block.

        Raises ChangeRefused, BrokenFile or OSError, and then has changed nothing.
        """
        with self._locked():
            entries = dict(self.read())
            yield entries
            self._write(entries)

    def parsed(self, text: bytes | None) -> Mapping[str, T]:
        """The entries that the text of a file says there are. Raises BrokenFile."""
        found = self.entries_of(_object(text, self.path))
        return {name: self._read_entry(name, entry, self.path) for name, entry in found.items()}

    def entries_of(self, found: dict[str, object]) -> Mapping[str, object]:
        """What of the file's object are entries. Raises BrokenFile."""
        return found

    def _read_again(self, signature: Signature | None) -> None:
        changed = signature != self._signature
        self._signature = signature
        # The file's clock may differ from ours: only what seems very young is read once more.
        age_ns = time.time_ns() - signature[0] if signature else SETTLED_AFTER_NS
        self._settled = not 0 <= age_ns < SETTLED_AFTER_NS
        try:
            text = _text(self.path)
            if text == self._text and not changed:
                return
            self._must_be_in_its_directory(text)
            self._text = text
            self._entries = MappingProxyType(self.parsed(text))
            self._broken = ""
        except BrokenFile as broken:
            if str(broken) != self._broken:
                self._report(broken)
            self._broken = str(broken)

    def _must_be_in_its_directory(self, text: bytes | None) -> None:
        directory = _identity(self.path.parent)
        if text is None and self._text is not None and directory != self._directory:
            raise BrokenFile(f"{self.path} is gone, and its directory with it.")
        self._directory = directory

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; the lock is on the directory, so that no lock file stays behind."""
        directory = os.open(self.path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            until = time.monotonic() + LOCK_WAIT_S
            while True:
                try:
                    fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise ChangeRefused(f"Somebody else is writing {self.path}.") from None
                    time.sleep(LOCK_PAUSE_S)
            yield
            os.fsync(directory)
        finally:
            os.close(directory)

    def _write(self, entries: Mapping[str, T]) -> None:
        """Replaces the file at once; it keeps its owner, and nobody else may read it."""
        written = {name: self._write_entry(entry) for name, entry in entries.items()}
        # The file itself, where the path is a symbolic link.
        path = self.path.resolve()
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                owner = _owner(path)
                if owner != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), *owner)
                json.dump(written, file, indent=2, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
            self._turn.end()
        except BaseException:
            Path(temporary).unlink()
            raise


def check_new_name(kind: str, name: str) -> None:
    """Raises ChangeRefused for what no new user or token may be called."""
    try:
        account_name(name, kind)
    except Refusal as refusal:
        raise ChangeRefused(refusal.sentence) from None


def _identity(directory: Path) -> tuple[int, int] | None:
    """Which directory it is that is at the path."""
    try:
        found = directory.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _owner(path: Path) -> tuple[int, int]:
    """User and group of the file that is there, or that a new one should have."""
    try:
        found = path.stat()
    except FileNotFoundError:
        if os.geteuid() != 0:
            return os.geteuid(), os.getegid()
        # Root's first token would be unreadable for a service that is not root.
        found = path.parent.stat()
    return found.st_uid, found.st_gid


def _text(path: Path) -> bytes | None:
    """The file's bytes; None where there is no file. Raises BrokenFile."""
    try:
        # Without O_NONBLOCK a named pipe in its place would keep us here forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BrokenFile(f"{path} is not a file.")
            text = _read_up_to(FILE_BYTES_MAX + 1, descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BrokenFile(f"{path} cannot be read: {error.strerror}.") from error
    if len(text) > FILE_BYTES_MAX:
        raise BrokenFile(f"{path} is larger than {FILE_BYTES_MAX} bytes.")
    return text


def _read_up_to(size: int, descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(size)


def _object(text: bytes | None, path: Path) -> dict[str, object]:
    """The JSON object in a file, without a name that is there twice. Raises BrokenFile."""
    if text is None:
        return {}

    def no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        if len(names) != len(set(names)):
            raise BrokenFile(f"{path} has a name twice in the same object.")
        return dict(pairs)

    try:
        entries = json.loads(text, object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError) as error:
        # The error of json quotes nothing of the file.
        raise BrokenFile(f"{path} is not JSON: {error}.") from None
    if not isinstance(entries, dict):
        raise BrokenFile(f"{path} is not a JSON object of entries by name.")
    return entries
