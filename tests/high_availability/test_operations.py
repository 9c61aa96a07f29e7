"""A failover loses a part of an operation: the hosts know what was done, and it is done once."""

from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled, outcomes, reboots, upgrades
from tests.end_to_end.processes.several import several
from tests.fleet import Fleet
from tests.fleet.fixtures import fleet
from tests.high_availability.pair import Pair
from tests.support.service import Service, wait_for

__all__ = ["fleet"]

PACKAGE_S = 3.0
FLAGS = (*QUICK, "--command-timeout-s", "20", "--lease-s", "3")


@pytest.mark.proof
def test_an_operation_that_was_lost_in_the_middle_finds_on_the_hosts_what_was_done(
    pair: Pair, tmp_path: Path, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    for host in hosts:
        host.set("package_seconds", PACKAGE_S)
    with several(2, tmp_path / "site", [pair.url] * 2, *FLAGS) as (one, other):
        rolled = Rolled(one, hosts)
        pair.wait_for_standby()
        rolled.begin("upgrade", max_parallel=2)
        pair.wait_for_standby()
        with pair.standby_misses():
            wait_for(lambda: all(upgrades(host) for host in hosts))
        pair.fail_over()
        record = rolled.over()
        assert outcomes(record) == ["done", "done"], record
        assert [upgrades(host) for host in hosts] == [1, 1]
        must_be_well(one, other)


@pytest.mark.proof
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
        wait_for(lambda: one.client.get(f"/operation/{lost}").status_code == 404)
        rolled.begin("restart", max_parallel=2)
        record = rolled.over()
        assert outcomes(record) == ["done", "done"], record
        assert [reboots(host) for host in hosts] == [1, 1]
        must_be_well(one, other)


def must_be_well(*services: Service) -> None:
    """All of them run, and say so."""
    for service in services:
        assert wait_for(partial(_is_ready, service))
        assert '"level":"error"' not in service.read_log()


def _is_ready(service: Service) -> bool:
    return bool(httpx.get(f"{service.url}/readyz").json()["status"] == "ready")
