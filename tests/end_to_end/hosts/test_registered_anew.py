"""An address that is removed and registered anew may be another machine: nothing is mixed up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.aggregates.host_events import FactsGathered, Failed, KeyPinned
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


@pytest.mark.parametrize("way", ["approve", "forget", "remove"])
def test_an_operator_who_removes_and_registers_a_host_does_not_undo_its_pin(
    service: Service, fleet: Fleet, way: str
) -> None:
    host = fleet.add("fedora")
    path = f"/host/{host.address}"
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    pinned = host.host_key_fingerprint
    with service.client_as("operator") as operator:
        assert operator.delete(path).status_code == 200
        assert operator.delete(f"{path}/hostkey").status_code == 403
    assert service.client.get(f"{path}/hostkey").json() == {"fingerprint": pinned, "refused": None}
    host.change_host_key()
    shown = host.host_key_fingerprint
    service.register(host)
    service.wait_for_status(host.address, "failed")
    failed = events_of(Failed, service, host.address)[-1]
    assert failed.kind == "host_key"
    assert pinned in failed.reason
    assert shown in failed.reason
    if way == "approve":
        body = {"fingerprint": shown}
        assert service.client.put(f"{path}/hostkey", json=body).status_code == 201
    elif way == "forget":
        assert service.client.delete(f"{path}/hostkey").status_code == 200
    else:
        assert service.client.delete(path).status_code == 200
        service.register(host)
    service.wait_for_status(host.address, "disassociated")
    assert service.client.get(f"{path}/hostkey").json()["fingerprint"] == shown


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
