"""Where exported lines go, and how far that is: each event once, whatever happens in between.

A file is told apart from those that it was rotated to by its inode. How far it is stands in the
cursor; what was written after that is found by the last whole line of the file, wherever it was
renamed to in its directory.
"""

import fcntl
import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from runners.cli.output import show_lines
from runners.database.existing import DatabaseRefused

CURSOR_BYTES = 80
"""Written at once, over what was there: kill -9 leaves the old or the new."""
TAIL_BYTES = 64 * 1024
"""Looked at first, from the end of a file, for its last whole line."""

OTHER_LINES = "{} has other lines than those of an export."
OTHER_FORM = (
    "{} is of an export in the other form: with --rows and without, each has its own files."
)


class Target(Protocol):
    """What lines are written to."""

    def write(self, lines: bytes, position: int) -> None:
        """Whole lines, and how far the log is written then."""


class Mark(NamedTuple):
    """How far it was, and the inode of the file that it was written to."""

    position: int
    inode: int


class Cursor:
    """A file with a mark, which one process has at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise DatabaseRefused(f"Another export has the cursor {path}.") from None

    def read(self) -> Mark | None:
        """None where it is new."""
        said = os.pread(self._file, CURSOR_BYTES, 0)
        if not said.strip():
            return None
        try:
            position, inode = map(int, said.split())
        except ValueError:
            raise DatabaseRefused(f"{self._path} is no cursor of an export.") from None
        return Mark(position, inode)

    def write(self, mark: Mark) -> None:
        """It outlives a power cut, too."""
        os.pwrite(self._file, f"{mark.position} {mark.inode}".encode().ljust(CURSOR_BYTES), 0)
        os.fsync(self._file)

    def close(self) -> None:
        """Let others have it."""
        os.close(self._file)


class StandardOutput(AbstractContextManager["StandardOutput"]):
    """Standard output, with a cursor or without."""

    def __init__(self, cursor: Path | None) -> None:
        self._cursor = None if cursor is None else Cursor(cursor)

    def resume(self) -> int | None:
        """Where to go on; None for the first time."""
        mark = self._cursor.read() if self._cursor else None
        return mark.position if mark else None

    def write(self, lines: bytes, position: int) -> None:
        """What was taken from us is done."""
        show_lines(lines)
        sys.stdout.flush()
        if self._cursor:
            self._cursor.write(Mark(position, 0))

    def __exit__(self, *_: object) -> None:
        if self._cursor:
            self._cursor.close()


class Shipped(AbstractContextManager["Shipped"]):
    """A file that is appended to, and opened anew when it was renamed or removed."""

    def __init__(self, path: Path, cursor: Path, *, rows: bool = False) -> None:
        self._path = path
        self._rows = rows
        if path.exists() and not path.is_file():
            raise DatabaseRefused(f"{path} is no file that lines can be appended to.")
        self._cursor = Cursor(cursor)
        self._file = self._opened()

    def resume(self) -> int | None:
        """Where to go on; None for the first time. What a line lacks of its end is cut off."""
        mark = self._cursor.read()
        # By what is open: whoever rotates may put another file at the path at any time.
        with os.fdopen(os.dup(self._file), "rb") as ours:
            written = [whole_lines(ours, self._path)]
        if mark and mark.inode != self._inode():
            for other in self._renamed(mark.inode):
                with other.open("rb") as file:
                    written.append(whole_lines(file, other))
        if mark is None and written[0].last is None and os.fstat(self._file).st_size:
            raise DatabaseRefused(OTHER_LINES.format(self._path))
        if any(each.last is not None and each.are_rows != self._rows for each in written):
            raise DatabaseRefused(OTHER_FORM.format(self._path))
        os.ftruncate(self._file, written[0].size)
        known = [mark.position] if mark else []
        return max((*known, *(each.last for each in written if each.last)), default=None)

    def write(self, lines: bytes, position: int) -> None:
        """All of them, on the disk, before the cursor says so."""
        if not self._is_there():
            os.close(self._file)
            self._file = self._opened()
        left = memoryview(lines)
        while left:
            left = left[os.write(self._file, left) :]
        os.fsync(self._file)
        self._cursor.write(Mark(position, self._inode()))

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        self._cursor.close()

    def _opened(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _inode(self) -> int:
        return os.fstat(self._file).st_ino

    def _is_there(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode()
        except FileNotFoundError:
            return False

    def _renamed(self, inode: int) -> list[Path]:
        """Where the file of a mark is now: nowhere, when it was removed or packed."""
        with os.scandir(self._path.parent) as found:
            files = [each for each in found if each.is_file(follow_symlinks=False)]
        return [Path(each.path) for each in files if each.inode() == inode]


class Written(NamedTuple):
    """How long a file is up to its last whole line, and the position that this line has."""

    size: int
    last: int | None
    are_rows: bool = False


def whole_lines(file: IO[bytes], path: Path) -> Written:
    """What a file of exported events has."""
    end = size = file.seek(0, os.SEEK_END)
    tail = b""
    # The last line may be longer than what is looked at first.
    while end and tail.count(b"\n") < 2:
        begin = max(end - TAIL_BYTES, 0)
        file.seek(begin)
        tail, end = file.read(end - begin) + tail, begin
    whole, newline, rest = tail.rpartition(b"\n")
    if not newline:
        return Written(0, None)
    try:
        said = json.loads(whole.rpartition(b"\n")[2])
        are_rows = isinstance(said, list)
        position = said[0] if are_rows else said["id"]
        return Written(size - len(rest), int(position), are_rows)
    except (ValueError, LookupError, TypeError):
        raise DatabaseRefused(OTHER_LINES.format(path)) from None
