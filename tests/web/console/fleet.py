"""A fleet of any size in a service that runs no runner: what pages have to show, hosts or not.

`python -m tests.web.console.fleet 1000` serves one until it is interrupted, and says where.
"""

import sys
import threading
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from domain.aggregates.host_events import FailureKind
from domain.commands import fleet_commands
from domain.commands.fleet_commands import HostRequest, OfferedKey
from domain.log.unit import Unit
from tests.web.service import WebService, new_key, serving

SYSTEMS = ("fedora", "debian", "centos")
CLUSTERS = ("web", "db", "cache")
FAILURES: tuple[tuple[FailureKind, str], ...] = (
    ("unreachable", "Nothing answers at port 22: connection refused."),
    ("sudo", "sudo asks ops for a password."),
    ("authentication", "The host refused the key."),
)
EVERY_FAILED = 9


def address(number: int) -> str:
    """The address of a host of the fleet."""
    return f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"


def seed(service: WebService, count: int) -> list[str]:
    """So many hosts in three clusters: one in nine has failed, all have labels."""
    key = new_key()
    offered = OfferedKey(key, lambda raw: "SHA256:" + "k" * 43)
    addresses = [address(number) for number in range(1, count + 1)]
    for name in CLUSTERS:
        service.perform(partial(_create, name=name))
    for number, host in enumerate(addresses):
        service.perform(partial(_register, service=service, host=host, offered=offered))
        service.settle(host, SYSTEMS[number % len(SYSTEMS)])
        service.perform(partial(_place, host=host, number=number))
        if number % EVERY_FAILED == EVERY_FAILED - 1:
            kind, reason = FAILURES[number // EVERY_FAILED % len(FAILURES)]
            service.fail(host, reason, kind)
    return addresses


def _create(unit: Unit, name: str) -> None:
    fleet_commands.create_cluster(unit, name, "default", "")


def _register(unit: Unit, service: WebService, host: str, offered: OfferedKey) -> None:
    fleet_commands.register_host(unit, service.vault, host, HostRequest(offered))


def _place(unit: Unit, host: str, number: int) -> None:
    fleet_commands.join(unit, CLUSTERS[number % 5 % len(CLUSTERS)], host)
    unit.host(host).change_labels({"role": ("front", "back")[number % 2], "rack": str(number % 7)})


def main() -> None:
    """Serve a fleet of the size of the first argument."""
    with TemporaryDirectory() as directory, serving(Path(directory)) as service:
        seed(service, int(sys.argv[1]))
        with service.client() as api:
            begun = api.put("/cluster/web/restart", json={"max_parallel": 2})
            begun.raise_for_status()
        print(service.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
