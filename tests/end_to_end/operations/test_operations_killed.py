"""The service is killed again and again while an operation runs, and the operation goes on."""

import random
import time
from pathlib import Path

import pytest

from runners.service.supervisor import STOP_TIMEOUT_S
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import OVER, Rolled, outcomes, reboots, upgrades
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

SYSTEMS = ("fedora", "debian", "centos", "atomic")
LIVES_MAX = 200
"""Kills after which an operation that is not over will not be any more."""
LIFE_S = 1.5
"""The longest life of a service that is to be killed, or as long as its start took where that is
more; the shortest is none."""
PACKAGE_S = 1.0


def until_over(service: Service, rolled: Rolled, chance: random.Random) -> int:
    """Kill the service at random moments until the operation is over; how often it was killed."""
    longest_s = LIFE_S
    for kills in range(LIVES_MAX):
        deadline = time.monotonic() + chance.uniform(0, longest_s)
        while time.monotonic() < deadline:
            if rolled.record["status"] in OVER:
                return kills
        service.kill()
        begin = time.monotonic()
        service.start()
        longest_s = max(LIFE_S, time.monotonic() - begin)
    raise AssertionError("it does not go on")


def kill_while_rolling(
    size: int, seed: int, directory: Path, database_url: str, fleet: Fleet
) -> None:
    """An upgrade and a restart of so many hosts, with a service that is killed all the time."""
    chance = random.Random(seed)
    hosts = fleet.add_many([SYSTEMS[number % len(SYSTEMS)] for number in range(size)])
    for host in hosts:
        host.set("package_seconds", PACKAGE_S)
    with Service(directory, database_url, *QUICK) as service:
        rolled = Rolled(service, hosts)
        rolled.begin("upgrade", max_parallel="50%")
        kills = until_over(service, rolled, chance)
        assert rolled.record["status"] == "finished", rolled.record
        rolled.begin("restart", max_parallel="50%")
        kills += until_over(service, rolled, chance)
        assert kills > 0, "the service has lived too long for this to prove anything"
        assert rolled.record["status"] == "finished", rolled.record
        assert outcomes(rolled.record) == ["done"] * size
    assert [upgrades(host) for host in hosts] == [1] * size
    assert [reboots(host) for host in hosts] == [1] * size


def test_a_service_that_stops_does_not_wait_for_what_hosts_say_of_their_steps(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    host.set("package_seconds", 2 * STOP_TIMEOUT_S)
    rolled.begin("upgrade")
    wait_for(lambda: upgrades(host) == 1)
    begin = time.monotonic()
    service.stop()
    assert time.monotonic() - begin < 0.8 * STOP_TIMEOUT_S
    service.start()
    assert rolled.over()["status"] == "finished"
    assert upgrades(host) == 1


@pytest.mark.dear_on("postgresql")
@pytest.mark.parametrize("seed", [1])
def test_after_kill_9_each_package_command_and_each_reboot_has_run_once(
    seed: int, tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    kill_while_rolling(5, seed, tmp_path / "service", database_url, fleet)


@pytest.mark.proof
@pytest.mark.parametrize("seed", [2, 3])
def test_after_kill_9_each_of_20_hosts_was_upgraded_once_and_rebooted_once(
    seed: int, tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    kill_while_rolling(20, seed, tmp_path / "service", database_url, fleet)
