"""Waves on real hosts: canaries, soaks, approvals, and a service that is killed while it waits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled, outcomes, upgrades
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

WATCHFUL = ("--check-interval", "0.3", "--check-failures", "2", "--ssh-connect-timeout-s", "1")
SOAK_S = 4.0

pytestmark = pytest.mark.dear_on("postgresql")


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service that checks its hosts often."""
    with Service(tmp_path / "service", database_url, *QUICK, *WATCHFUL) as running:
        yield running


def kill(service: Service) -> None:
    """Kill -9, and start it again."""
    service.kill()
    service.start()


def test_a_rollout_survives_kill_9_in_its_soak_and_before_its_approval(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora"] * 3)
    rolled = Rolled(service, hosts)
    wave = {"hosts": 1, "soak_s": SOAK_S, "approval": True}
    rolled.begin_by_post("upgrade", waves=[wave], max_parallel=2)
    rolled.waiting_for("soak")
    kill(service)
    record = rolled.waiting_for("approval")
    assert outcomes(record) == ["done", "waiting", "waiting"]
    kill(service)
    assert rolled.record["waits_for"] == record["waits_for"]
    path = f"/operation/{rolled.name}/approval"
    assert service.client.put(path, json={"wave": 2}).status_code == 201
    assert rolled.over()["status"] == "finished"
    assert [upgrades(host) for host in hosts] == [1] * 3


def test_a_finished_host_that_fails_in_the_soak_stops_the_next_wave_until_it_is_back(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora"] * 2)
    rolled = Rolled(service, hosts)
    rolled.begin_by_post("upgrade", waves=[{"hosts": 1, "soak_s": SOAK_S}])
    rolled.waiting_for("soak")
    hosts[0].freeze()
    record = rolled.waiting_for("soak", for_ever=True)
    assert hosts[0].address in record["waits_for"]["reason"]
    kill(service)
    service.wait_for_status(hosts[0].address, "failed")
    assert upgrades(hosts[1]) == 0
    hosts[0].thaw()
    assert rolled.over()["status"] == "finished"
    assert [upgrades(host) for host in hosts] == [1, 1]


def test_a_canary_that_fails_stops_everything_behind_it(service: Service, fleet: Fleet) -> None:
    hosts = fleet.add_many(["debian"] * 3)
    hosts[0].set("package_status", 1)
    rolled = Rolled(service, hosts)
    rolled.begin_by_post("upgrade", waves=[{"hosts": 1}], max_failures="100%", max_parallel=3)
    record = rolled.over()
    assert (record["status"], outcomes(record)) == ("failed", ["failed", "waiting", "waiting"])
    assert "wave 1" in record["reason"]
    assert [upgrades(host) for host in hosts[1:]] == [0, 0]


def test_nothing_begins_before_its_time_whoever_is_killed_meanwhile(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    rolled.begin_by_post("upgrade", starts_at="2999-01-01T00:00:00")
    rolled.waiting_for("start")
    kill(service)
    wait_for(lambda: rolled.record["waits_for"]["what"] == "start")
    assert upgrades(host) == 0
    rolled.steer("cancelled")
    assert rolled.over()["status"] == "cancelled"
