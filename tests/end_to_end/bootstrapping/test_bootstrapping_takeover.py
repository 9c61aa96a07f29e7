"""Two processes on one PostgreSQL: one goes on with the hosts that a dead one was setting up."""

from pathlib import Path

from domain.aggregates.host_events import BootstrapStepDone
from tests.end_to_end.bootstrapping.bootstrapped import (
    ETCD,
    installs,
    leftovers,
    make_cluster,
    sent,
)
from tests.end_to_end.history import events_of
from tests.end_to_end.processes.several import several, until_held
from tests.fleet import Fleet
from tests.support.service import wait_for

HOSTS = 4
PACKAGE_S = 4.0
LEASE = ("--lease-s", "3")


def test_a_process_that_dies_in_the_middle_leaves_its_hosts_to_another_and_nothing_runs_twice(
    tmp_path: Path, postgres_url: str, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora"] * HOSTS)
    for host in hosts:
        host.set("package_seconds", PACKAGE_S)
    with several(2, tmp_path, [postgres_url] * 2, *LEASE) as (first, second):
        until_held(first, 32)
        until_held(second, 32)
        make_cluster(first, ETCD)
        for host in hosts:
            assert first.register(host, cluster="overlaid").status_code == 201
        wait_for(lambda: all(installs(host) for host in hosts))
        first.kill()
        for host in hosts:
            second.wait_for_status(host.address, "active", timeout_s=60)
            assert sent(second, host) == ["packages", "services"]
            assert len(events_of(BootstrapStepDone, second, host.address)) == 2
            assert len(installs(host)) == 1
            assert leftovers(host) == []
