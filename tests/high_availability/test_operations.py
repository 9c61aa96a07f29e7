"""A failover loses a part of an operation: the hosts know what was done, and it is done once."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled, outcomes, reboots, upgrades
from tests.end_to_end.operations.test_draining import Nodes, server
from tests.end_to_end.processes.several import several
from tests.fleet import Fleet
from tests.fleet.fixtures import fleet
from tests.high_availability.pair import Pair
from tests.high_availability.traffic import (
    Traffic,
    must_be_told_of_all,
    must_be_well,
    streams_must_be_whole,
)
from tests.runners.container_managers.server import ApiServer
from tests.support.service import Service, wait_for

__all__ = ["fleet", "server"]

pytestmark = pytest.mark.proof

PACKAGE_S = 3.0
DOWNTIME_S = 6.0
FLAGS = (*QUICK, "--command-timeout-s", "20", "--lease-s", "3", "--no-log-requests")


@contextmanager
def load(*services: Service) -> Iterator[None]:
    """Writers and listeners meanwhile, who are told all."""
    with Traffic(services) as traffic:
        yield
    must_be_told_of_all(traffic)
    streams_must_be_whole(traffic)


@pytest.mark.parametrize("loaded", [False, True], ids=["idle", "under-load"])
def test_an_operation_that_was_lost_in_the_middle_finds_on_the_hosts_what_was_done(
    pair: Pair, tmp_path: Path, fleet: Fleet, loaded: bool
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    for host in hosts:
        host.set("package_seconds", PACKAGE_S)
    with several(2, tmp_path / "site", [pair.url] * 2, *FLAGS) as (one, other):
        rolled = Rolled(one, hosts)
        with load(one, other) if loaded else nullcontext():
            rolled.begin("upgrade", max_parallel=2)
            with pair.standby_misses():
                wait_for(lambda: all(upgrades(host) for host in hosts))
            pair.fail_over()
            record = rolled.over()
        assert outcomes(record) == ["done", "done"], record
        assert [upgrades(host) for host in hosts] == [1, 1]
        must_be_well(one, other)


def test_an_operation_in_process_goes_on_through_a_synchronous_failover_under_load(
    pair: Pair, tmp_path: Path, fleet: Fleet
) -> None:
    pair.be_synchronous()
    hosts = fleet.add_many(["fedora", "debian"])
    for host in hosts:
        host.set("package_seconds", PACKAGE_S)
    with several(2, tmp_path / "site", [pair.url] * 2, *FLAGS) as (one, other):
        rolled = Rolled(one, hosts)
        with load(one, other):
            rolled.begin("upgrade", max_parallel=1)
            wait_for(lambda: any(upgrades(host) for host in hosts))
            pair.fail_over()
            record = rolled.over()
        assert outcomes(record) == ["done", "done"], record
        assert [upgrades(host) for host in hosts] == [1, 1]
        must_be_well(one, other)


def test_a_reboot_whose_request_was_lost_is_not_asked_for_again(
    pair: Pair, tmp_path: Path, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    for host in hosts:
        host.reboots(downtime_s=DOWNTIME_S)
    with several(2, tmp_path / "site", [pair.url] * 2, *FLAGS) as (one, other):
        rolled = Rolled(one, hosts)
        rolled.begin("restart", max_parallel=1)
        wait_for(lambda: sum(map(reboots, hosts)) == 1)
        with pair.standby_misses():  # while the first is down; all of the second is lost
            wait_for(lambda: sum(map(reboots, hosts)) == 2)
        pair.fail_over()
        record = rolled.over()
        assert outcomes(record) == ["done", "done"], record
        assert [reboots(host) for host in hosts] == [1, 1]
        must_be_well(one, other)
        assert '"type":"operation.reboot_requested"' in lost_lines(one, other)


def test_an_operation_whose_start_was_lost_ends_no_process_and_can_be_begun_again(
    pair: Pair, tmp_path: Path, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    for host in hosts:
        host.set("package_seconds", PACKAGE_S)
    with several(2, tmp_path / "site", [pair.url] * 2, *FLAGS) as (one, other):
        rolled = Rolled(one, hosts)
        with pair.standby_misses():
            lost = rolled.begin("upgrade", max_parallel=2)
            wait_for(lambda: all(upgrades(host) for host in hosts))
        pair.fail_over()
        path = f"/operation/{lost}"
        wait_for(lambda: one.client.get(path).status_code == 404)
        wait_for(lambda: "the database lost" in one.client.get(path).json()["detail"])
        rolled.begin("restart", max_parallel=2)
        record = rolled.over()
        assert outcomes(record) == ["done", "done"], record
        assert [reboots(host) for host in hosts] == [1, 1]
        must_be_well(one, other)


def test_a_node_that_a_lost_operation_cordoned_is_used_again(
    pair: Pair, tmp_path: Path, fleet: Fleet, server: ApiServer
) -> None:
    host = fleet.add("fedora")
    flags = (*FLAGS, "--node-report-interval-s", "1")
    with several(2, tmp_path / "site", [pair.url] * 2, *flags) as (one, other):
        nodes = Nodes(one, server, [host])
        server.objects.budgets["default", "web-0"] = 1  # its pod may not leave
        with pair.standby_misses():
            lost = nodes.begin("upgrade")
            wait_for(lambda: nodes.is_cordoned(host))
        pair.fail_over()
        wait_for(lambda: one.client.get(f"/operation/{lost}").status_code == 404)
        wait_for(lambda: not nodes.is_cordoned(host))
        assert upgrades(host) == 0
        must_be_well(one, other)


def lost_lines(*services: Service) -> str:
    """What all say that they lost."""
    lines = [line for service in services for line in service.read_log().splitlines()]
    return "\n".join(line for line in lines if '"event":"log.change_lost"' in line)
