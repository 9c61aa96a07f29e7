"""One process serves a data directory: a lock file that tells who holds it."""

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

    def __enter__(self) -> Self:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, HOLDER_BYTES_MAX).decode(errors="replace").strip()
            os.close(descriptor)
            raise DataDirectoryTaken(
                f"{self._path.parent} is served already by {holder or 'another process'}"
            ) from None
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
