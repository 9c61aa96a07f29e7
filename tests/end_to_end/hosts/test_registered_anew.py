"""An address that is removed and registered anew may be another machine: nothing is mixed up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.aggregates.host_events import FactsGathered, KeyPinned
from tests.end_to_end.history import events_of
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

SLOW_S = 1.5


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("anew")


@pytest.fixture(scope="module")
def fleet(directory: Path) -> Iterator[Fleet]:
    with Fleet(directory / "fleet") as fleet:
        yield fleet


@pytest.fixture(scope="module")
def service(directory: Path) -> Iterator[Service]:
    with Service(directory / "service") as running:
        yield running


def test_an_address_that_is_registered_anew_tells_the_new_machine_s_facts(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    path = f"/host/{host.address}"
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    assert service.client.delete(path).status_code == 200
    host.change_system("debian")
    host.change_host_key()
    host.cpus(48)
    answer = service.register(host).json()
    assert (answer["status"], answer["os"], answer["cpus"]) == ("investigating", "", 0)
    service.wait_for_status(host.address, "disassociated")
    record = service.client.get(path).json()
    assert (record["os"], record["cpus"]) == ("debian", 48)
    pinned = [event.fingerprint for event in events_of(KeyPinned, service, host.address)]
    assert len(pinned) == 2
    assert pinned[-1] == host.host_key_fingerprint


def test_facts_of_the_machine_that_was_there_before_are_never_the_new_one_s(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    host.slow(SLOW_S)
    service.register(host)
    wait_for(lambda: events_of(KeyPinned, service, host.address))  # the look is under way
    assert service.client.delete(f"/host/{host.address}").status_code == 200
    host.change_system("debian")
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    assert [each.os for each in events_of(FactsGathered, service, host.address)] == ["debian"]
