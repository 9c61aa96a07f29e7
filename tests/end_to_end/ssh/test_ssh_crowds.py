"""Many hosts that are registered at the same moment, each a real sshd."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from domain.aggregates.host_events import FactsGathered, Failed
from tests.end_to_end.history import events_of
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

CLIENTS = 32
COUNT = 200
SYSTEMS = ("fedora", "centos", "debian", "ubuntu", "atomic")
SETTLED_WITHIN_S = 240.0


@pytest.mark.proof  # the quick slice of it is the ward of test_ssh_faults.py
def test_200_hosts_that_are_registered_at_once_are_all_looked_at_once(tmp_path: Path) -> None:
    with Fleet(tmp_path / "fleet") as fleet, Service(tmp_path / "service") as service:
        hosts = fleet.add_many([SYSTEMS[number % len(SYSTEMS)] for number in range(COUNT)])
        assert service.client.put("/cluster/web").status_code == 201
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(lambda host: service.register(host, cluster="web"), hosts))
        assert {answer.status_code for answer in answers} == {201}

        def all_active() -> bool:
            return bool(service.client.get("/cluster/web").json()["hosts"]["available"] == COUNT)

        wait_for(all_active, SETTLED_WITHIN_S)
        records = {record["address"]: record for record in service.client.get("/hosts").json()}
        assert len(records) == COUNT
        for number, host in enumerate(hosts):
            assert records[host.address]["os"] == SYSTEMS[number % len(SYSTEMS)]
            assert len(events_of(FactsGathered, service, host.address)) == 1
            assert events_of(Failed, service, host.address) == []
