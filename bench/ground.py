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
        self._seeded: dict[tuple[int, int, bool], Path] = {}  # by what `_seed` takes
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
        service = Ours(directory, None, *UNWATCHED, *flags, named=False)
        service.module = module
        return service

    def ours_watched(self, host_count: int, interval_s: int) -> Ours:
        """A service of so many hosts, each of which is looked at once in an interval."""
        directory = self.new_directory("ours")
        shutil.copytree(self._seed(0, host_count), directory / "data")
        return Ours(directory, None, "--check-interval", str(interval_s), named=False)

    def ours_labelled(self, host_count: int) -> Ours:
        """The same, on a log of so many hosts, which have labels."""
        directory = self.new_directory("ours")
        shutil.copytree(self._seed(0, host_count, labelled=True), directory / "data")
        return Ours(directory, None, *UNWATCHED, named=False)

    def seeded_database(self, event_count: int, hosts: int = HOSTS) -> Path:
        """The database of a service that was seeded and never started."""
        return self._seed(event_count, hosts) / "commissaire.db"

    def _seed(self, event_count: int, hosts: int = HOSTS, *, labelled: bool = False) -> Path:
        wanted = event_count, hosts, labelled
        found = self._seeded.get(wanted)
        if found is None:
            found = self._seeded[wanted] = self.new_directory("seeded")
            seed(found, hosts, event_count, labelled=labelled)
        return found
