"""A network namespace for a service, with a cable to its hosts that can be cut."""

import random
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.service import Service

COMMAND_TIMEOUT_S = 10.0
BETWEEN_NETWORKS = "198.18"
"""For tests between networks (RFC 2544): the cable that clients of the service use."""
TO_HOSTS = "198.19"


class SeparateNetwork:
    """Two cables from here into a namespace; needs root. Hosts stand at `host_address`."""

    def __init__(self) -> None:
        chance = random.SystemRandom()  # a test's own seed is that of every other process
        self._number = chance.randrange(1, 255)
        self.name = f"commissaire-{self._number}-{chance.randrange(10_000)}"
        self._control, self._hosts = f"ctl{self._number}", f"hosts{self._number}"

    @property
    def service_address(self) -> str:
        """Where the service listens."""
        return f"{BETWEEN_NETWORKS}.{self._number}.2"

    def host_address(self, number: int) -> str:
        """Of a host, from 0 on."""
        return f"{TO_HOSTS}.{self._number}.{number + 10}"

    def __enter__(self) -> Self:
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")
        self._lay(self._control, f"{BETWEEN_NETWORKS}.{self._number}")
        self._lay(self._hosts, f"{TO_HOSTS}.{self._number}")
        return self

    def _lay(self, cable: str, network: str) -> None:
        far = f"{cable}-far"
        _ip("link", "add", cable, "type", "veth", "peer", "name", far, "netns", self.name)
        _ip("addr", "add", f"{network}.1/24", "dev", cable)
        _ip("-n", self.name, "addr", "add", f"{network}.2/24", "dev", far)
        _ip("-n", self.name, "link", "set", far, "up")
        _ip("link", "set", cable, "up")

    def place(self, number: int) -> str:
        """Make room for a host at an address of its own."""
        address = self.host_address(number)
        _ip("addr", "add", f"{address}/24", "dev", self._hosts)
        return address

    def cut(self) -> None:
        """Nothing gets through to the hosts any more."""
        _ip("link", "set", self._hosts, "down")

    def heal(self) -> None:
        """Everything does again."""
        _ip("link", "set", self._hosts, "up")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for cable in (self._control, self._hosts):
            _ip("link", "del", cable)
        _ip("netns", "del", self.name)


class SeparateService(Service):
    """The service, in that namespace."""

    def __init__(
        self, network: SeparateNetwork, directory: Path, database_url: str | None, *flags: str
    ) -> None:
        super().__init__(directory, database_url, "--host", network.service_address, *flags)
        self._network = network

    def command(self) -> list[str]:
        """The command line."""
        return ["ip", "netns", "exec", self._network.name, *super().command()]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=COMMAND_TIMEOUT_S)
