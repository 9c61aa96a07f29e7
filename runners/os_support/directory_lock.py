"""One process serves a data directory: a lock file that tells who holds it.

The directory is locked as well: whoever deletes or replaces the lock file does not let go of it.
"""

import errno
import fcntl
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

LOCK_FILE = "serve.lock"
HOLDER_BYTES_MAX = 512


class DataDirectoryTaken(Exception):
    """Another process serves this data directory."""


class DataLock:
    """Held for as long as the process lives: the kernel lets go of it, even after kill -9."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_FILE
        self._descriptor = -1
        self._directory = -1

    def __enter__(self) -> Self:
        self._directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        descriptor = -1
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _lock_directory(self._directory)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            taken = isinstance(error, BlockingIOError)
            holder = os.read(descriptor, HOLDER_BYTES_MAX) if taken else b""
            if descriptor >= 0:
                os.close(descriptor)
            os.close(self._directory)
            if not taken:
                raise
            name = holder.decode(errors="replace").strip() or "another process"
            raise DataDirectoryTaken(f"{self._path.parent} is served already by {name}") from None
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}, {since}\n".encode())
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)
        os.close(self._directory)


def _lock_directory(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # NFS locks nothing that cannot be opened for writing: there the file alone is the lock.
        if error.errno != errno.EBADF:
            raise
