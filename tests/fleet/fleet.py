"""A fleet: hosts that come and go together."""

import itertools
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fleet.addresses import take
from tests.fleet.host import Host
from tests.fleet.keys import KeyPair, new_key
from tests.fleet.systems import system_named
from tests.support import leftovers

STARTS_AT_ONCE = 8


class Fleet:
    """Hosts on loopback addresses of their own; all are gone when the `with` block ends.

    The kernel kills them when this process dies in any other way.
    """

    def __init__(self, directory: Path) -> None:
        self.hosts: list[Host] = []
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._numbers = itertools.count(1)
        self._starting = leftovers.starting()
        # One thread for its whole life: see Machine.boot.
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="fleet-spawner")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(
        self,
        system: str = "fedora",
        *,
        user: str = "root",
        port: int | None = None,
        address: str | None = None,
        key: KeyPair | None = None,
    ) -> Host:
        """A new host that answers; see systems.py for the systems.

        Without `port` it is 22 where that can be had (as root, on an address that the fleet
        picks), else a free one. `key` is the one that logs in, made up by default.
        """
        kind = system_named(system)
        directory = self._directory / f"{system}-{next(self._numbers)}"
        host = Host(directory, take(address, port, os.geteuid() == 0), kind, user, key or new_key())
        self.hosts.append(host)
        try:
            with self._starting():
                host.boot(self._spawner)
        except BaseException:
            self.remove(host)
            raise
        return host

    def add_many(self, systems: Iterable[str], *, user: str = "root") -> list[Host]:
        """Hosts of these systems, started several at a time, in the order asked for."""
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            return list(pool.map(lambda system: self.add(system, user=user), systems))

    def remove(self, host: Host) -> None:
        """End one host for good."""
        self.hosts.remove(host)
        host.destroy()

    def close(self) -> None:
        """End all hosts; returns when their processes and mounts are gone."""
        for host in list(self.hosts):
            self.remove(host)
        self._spawner.shutdown()
