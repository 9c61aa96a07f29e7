"""The network between the service and its hosts is cut in the middle of their steps, and healed."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled, outcomes, reboots, upgrades
from tests.end_to_end.operations.separate_network import SeparateNetwork, SeparateService
from tests.fleet import Fleet, Host
from tests.support.service import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces")

IMPATIENT = ("--ssh-command-timeout-s", "2")
END = re.compile(rb"Complete!\n-- .* ended with exit status 0\n\Z")
FAILURES = re.compile(r"commissaire_ssh_failures_total\{[^}]*\} (\d+)")


@pytest.fixture
def network() -> Iterator[SeparateNetwork]:
    """Where the service is, and its hosts are not."""
    with SeparateNetwork() as network:
        yield network


@pytest.fixture
def service(network: SeparateNetwork, tmp_path: Path) -> Iterator[SeparateService]:
    """On SQLite: no database has a say in what is tested here."""
    with SeparateService(network, tmp_path / "service", None, *QUICK, *IMPATIENT) as running:
        yield running


def noticed(service: SeparateService, hosts: int) -> None:
    """Wait until the service has lost so many connections more."""

    def failures() -> int:
        text = service.client.get(f"{service.url}/metrics").text
        return sum(int(float(number)) for number in FAILURES.findall(text))

    before = failures()
    wait_for(lambda: failures() >= before + hosts)


def ended(host: Host) -> bool:
    """Whether the step of an upgrade has ended there."""
    return bool(list(host.path("/var/lib/commissaire/steps").glob("*-upgrade/status")))


def test_what_ended_behind_a_cut_cable_is_found_when_it_is_healed_and_nothing_ran_twice(
    network: SeparateNetwork, service: SeparateService, fleet: Fleet
) -> None:
    hosts = [fleet.add(system, address=network.place(number))
             for number, system in enumerate(("fedora", "debian"))]  # fmt: skip
    for host in hosts:
        host.set("package_seconds", 1)
    rolled = Rolled(service, hosts)
    rolled.begin("upgrade", max_parallel=2)
    wait_for(lambda: all(upgrades(host) for host in hosts))
    network.cut()
    wait_for(lambda: all(ended(host) for host in hosts))
    noticed(service, len(hosts))
    assert outcomes(rolled.record) == ["in_process", "in_process"]
    network.heal()
    operation = rolled.over()
    assert operation["status"] == "finished", operation
    assert [upgrades(host) for host in hosts] == [1, 1]
    assert all(END.search(rolled.output(host)) for host in hosts)


def test_a_reboot_behind_a_cut_cable_is_proved_when_it_is_healed(
    network: SeparateNetwork, service: SeparateService, fleet: Fleet
) -> None:
    host = fleet.add("fedora", address=network.place(0))
    rolled = Rolled(service, [host])
    before = host.boot_id
    rolled.begin("restart")
    wait_for(lambda: reboots(host) == 1)
    network.cut()
    wait_for(lambda: host.boot_id != before)
    noticed(service, 1)
    assert outcomes(rolled.record) == ["in_process"]
    network.heal()
    assert rolled.over()["status"] == "finished"
    assert reboots(host) == 1
