"""A service whose data directory is a small file system of its own, which a test can fill.

The file system is a tmpfs in a mount namespace that nobody else sees; a process of ours keeps it
over kills and restarts of the service. Without root, in a user namespace.
"""

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import IO

import pytest

from tests.faults.conftest import ALONE
from tests.support.service import DIE_WITH_US, Service

CHUNK_BYTES = 4096


class SmallDisk:
    """A tmpfs of `size_kib`, mounted on `place` for those who `enter` only."""

    def __init__(self, place: Path, size_kib: int) -> None:
        place.mkdir(parents=True)
        self._place = place
        self._user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        mount = (
            f"mount -t tmpfs -o size={size_kib}k,mode=700 none '{place}' && echo done && exec cat"
        )
        self._keeper = subprocess.Popen(
            [*DIE_WITH_US, "unshare", *self._user, "--mount", "/bin/sh", "-c", mount],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._output.readline() == b"done\n", "no mount namespace for a test"

    @property
    def enter(self) -> list[str]:
        """What to put before a command line so that it sees the file system."""
        user = ("--user", "--preserve-credentials") if self._user else ()
        return ["nsenter", "--target", str(self._keeper.pid), *user, "--mount", "--"]

    @property
    def inside(self) -> Path:
        """The file system as we see it."""
        return Path(f"/proc/{self._keeper.pid}/root{self._place}")

    def fill(self) -> None:
        """Take all the room that is left."""
        filler = os.open(self.inside / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with pytest.raises(OSError, match="No space left"):
            _write_for_ever(filler)
        os.close(filler)

    def give_back(self) -> None:
        """Make room again."""
        (self.inside / "filler").unlink()

    def discard(self) -> None:
        """End the process that keeps it."""
        self._keeper.kill()
        self._keeper.communicate()

    @property
    def _output(self) -> IO[bytes]:
        assert self._keeper.stdout is not None
        return self._keeper.stdout


class CrampedService(Service):
    """A service on a small disk, and with `log_on_disk` its stderr; its users are elsewhere."""

    def __init__(self, directory: Path, size_kib: int, *, log_on_disk: bool = False) -> None:
        super().__init__(directory, None, *ALONE)
        self.disk = SmallDisk(directory / "disk", size_kib)
        self._log_on_disk = log_on_disk
        self._users = self.data / "users.json"
        self.data = directory / "disk" / "data"

    def command(self) -> list[str]:
        """Within the namespace."""
        serve = [*super().command(), "--users", str(self._users)]
        if self._log_on_disk:
            log = self.data.parent / "log"
            serve = ["/bin/sh", "-c", f"exec \"$@\" 2>>'{log}'", "sh", *serve]
        return [*self.disk.enter, *serve]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self.disk.discard()


def _write_for_ever(descriptor: int) -> None:
    while True:
        os.write(descriptor, bytes(CHUNK_BYTES))
