"""One process serves a data directory: a lock file that tells who holds it."""

import fcntl
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from runners.os_support.plain_file import opened

LOCK_FILE = "serve.lock"
OPEN = os.O_RDWR | os.O_CREAT
HOLDER_BYTES_MAX = 512
CHECK_EVERY_S = 0.5
"""How often the holder has to `check`."""
CLAIM_S = 2.5 * CHECK_EVERY_S
"""A holder whose lock file was deleted gets so much time to notice."""


class DataDirectoryTaken(Exception):
    """Another process serves this data directory."""


class DataLock:
    """Held for as long as the process lives: the kernel lets go of it, even after kill -9.

    `database`: whose presence tells that the directory was served before.

    It is of the file that is at the path: whoever deletes or replaces that file takes the lock away
    from its holder, who notices with the next `check`. Whoever starts and finds no file where there
    has been a service before waits for longer than that.
    """

    def __init__(self, directory: Path, database: Path) -> None:
        self._path = directory / LOCK_FILE
        self._database = database
        self._descriptor = -1
        self.unchecked = ""
        """Why the last `check` found nothing out; "" where it did."""

    def __enter__(self) -> Self:
        if self._database.exists() and not os.path.lexists(self._path):
            os.close(opened(self._path, OPEN))
            time.sleep(CLAIM_S)
        self._take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def check(self) -> bool:
        """Whether it was lost with its file, and is held again. Raises `DataDirectoryTaken`.

        Raises `OSError` where there is no directory or something else in place of the file.
        """
        try:
            is_back = self._is_back()
        except OSError as error:
            self.unchecked = str(error.strerror)
            raise
        self.unchecked = ""
        return is_back

    def _is_back(self) -> bool:
        with suppress(FileNotFoundError):
            if self._path.samefile(f"/proc/self/fd/{self._descriptor}"):
                return False
        lost = self._descriptor
        self._take()
        os.close(lost)
        return True

    def _take(self) -> None:
        descriptor = opened(self._path, OPEN)
        try:
            self._lock(descriptor)
        except (DataDirectoryTaken, OSError):
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        holder = f"process {os.getpid()} on {socket.gethostname()}, {since}\n"
        with suppress(OSError):  # on a full disk it is held all the same
            os.ftruncate(descriptor, 0)
            os.write(descriptor, holder.encode())

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, HOLDER_BYTES_MAX).decode(errors="replace").strip()
            raise DataDirectoryTaken(
                f"{self._path.parent} is served already by {holder or 'another process'}"
            ) from None
