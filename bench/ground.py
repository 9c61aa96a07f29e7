"""Where a run measures: a scratch directory, and data directories that are seeded once."""

import shutil
from pathlib import Path

from bench.processes import Ours
from bench.seed import seed

HOSTS = 10_000
EVENTS = 100_000
UNWATCHED = ("--check-interval", "86400")
"""The hosts of a seed are nowhere: they are checked as rarely as can be."""


class Ground:
    """A scratch directory, on the disk that the service is to be measured on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seeded: dict[int, Path] = {}
        self._count = 0

    def new_directory(self, name: str) -> Path:
        """A path where nothing is yet."""
        self._count += 1
        return self._directory / f"{self._count}-{name}"

    def ours(self, event_count: int | None = None, *flags: str, module: str | None = None) -> Ours:
        """A service that is not started: on an empty log, or one of `HOSTS` hosts.

        Such a log has `event_count` events at least. `module` runs instead of `commissaire`.
        """
        directory = self.new_directory("ours")
        if event_count is not None:
            shutil.copytree(self._seed(event_count), directory / "data")
        service = Ours(directory, None, *UNWATCHED, *flags)
        service.module = module
        return service

    def _seed(self, event_count: int) -> Path:
        if event_count not in self._seeded:
            self._seeded[event_count] = data = self.new_directory("seeded")
            seed(data, HOSTS, event_count)
        return self._seeded[event_count]
