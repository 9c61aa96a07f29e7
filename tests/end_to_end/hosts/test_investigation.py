"""A host that is registered over HTTP is looked at over SSH, and becomes what it is."""

import random
from functools import partial
from pathlib import Path

import pytest

from tests.end_to_end.conftest import QUICK
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

SYSTEMS = ("fedora", "centos", "rhel", "debian", "ubuntu", "busybox", "atomic")
KILLS = 3


def test_a_registered_host_goes_from_investigating_to_active(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    assert service.client.put("/cluster/web").status_code == 201
    answer = service.register(host, cluster="web")
    assert answer.status_code == 201
    assert answer.json() == {
        "address": host.address,
        "status": "investigating",
        "os": "",
        "cpus": 0,
        "memory": 0,
        "space": 0,
        "last_check": "",
        "source": "",
    }
    service.wait_for_status(host.address, "active")
    record = service.client.get(f"/host/{host.address}").json()
    assert record["os"] == "fedora"
    assert record["cpus"] >= 1
    assert record["memory"] > 10_000
    assert record["space"] > 10_000
    assert len(record["last_check"]) == len("2015-12-17T15:48:18.710454")
    assert service.client.get("/cluster/web").json()["hosts"] == {
        "total": 1,
        "available": 1,
        "unavailable": 0,
    }


def test_every_system_is_recognised_and_a_host_without_a_cluster_waits_for_one(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(list(SYSTEMS))
    for host in hosts:
        assert service.register(host).status_code == 201
    for host in hosts:
        service.wait_for_status(host.address, "disassociated")
    seen = {
        host.address: service.client.get(f"/host/{host.address}").json()["os"] for host in hosts
    }
    expected = ["debian" if system == "busybox" else system for system in SYSTEMS]
    assert [seen[host.address] for host in hosts] == expected


def test_a_user_whose_sudo_asks_for_a_password_fails_and_recovers_by_itself(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("ubuntu", user="ops")
    host.sudo("password")
    service.register(host)
    service.wait_for_status(host.address, "failed")
    host.sudo("works")
    service.wait_for_status(host.address, "disassociated")


def test_another_host_key_is_refused_until_an_administrator_approves_it(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    path = f"/host/{host.address}/hostkey"
    pinned = service.client.get(path).json()["fingerprint"]
    assert pinned == host.host_key_fingerprint

    # Registered anew, the first contact pins again: so forget nothing, but change the pin.
    other = fleet.add("debian")
    answer = service.client.put(path, json={"fingerprint": other.host_key_fingerprint})
    assert answer.status_code == 201
    assert service.client.get(path).json()["fingerprint"] == other.host_key_fingerprint


def test_a_host_that_shows_another_key_while_it_is_investigated_fails_and_names_both(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("ubuntu", user="ops")
    host.sudo("password")
    service.register(host)
    service.wait_for_status(host.address, "failed")
    pinned = host.host_key_fingerprint
    host.change_host_key()
    host.sudo("works")
    path = f"/host/{host.address}/hostkey"
    wait_for(lambda: service.client.get(path).json()["refused"])
    record = service.client.get(path).json()
    assert record == {"fingerprint": pinned, "refused": host.host_key_fingerprint}
    assert service.status(host.address) == "failed"
    service.client.put(path, json={"fingerprint": host.host_key_fingerprint})
    service.wait_for_status(host.address, "disassociated")


def test_a_removed_host_is_left_alone(service: Service, fleet: Fleet) -> None:
    host = fleet.add("debian")
    host.stop()
    service.register(host)
    service.wait_for_status(host.address, "failed")
    assert service.client.delete(f"/host/{host.address}").json() == []
    assert service.client.get(f"/host/{host.address}").status_code == 404
    host.start()
    assert service.register(host).json()["status"] == "investigating"
    service.wait_for_status(host.address, "disassociated")


def has_changed(service: Service, count: int) -> bool:
    """Whether the service told of so many changes since it was made."""
    return service.read_log().count('"event":"change"') >= count


@pytest.mark.parametrize("seed", [1])
def test_after_kill_9_every_host_that_was_being_investigated_ends_as_it_would_have(
    seed: int, tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    chance = random.Random(seed)
    hosts = fleet.add_many(["fedora", "debian", "centos", "ubuntu"] * 3)
    for host in hosts[:6]:
        host.slow(0.5)
    hosts[0].stop()
    with Service(tmp_path / "service", database_url, *QUICK, "--ssh-parallel", "4") as service:
        service.client.put("/cluster/web")
        for number, host in enumerate(hosts):
            assert service.register(host, cluster="web").status_code == 201
            if number % (len(hosts) // KILLS) == 1:
                # Anywhere in the looks that are under way: after so many events, by the seed.
                begun = service.read_log().count('"event":"change"')
                wait_for(partial(has_changed, service, begun + chance.randrange(3)))
                service.kill()
                service.start()
        for host in hosts[1:]:
            service.wait_for_status(host.address, "active")
        service.wait_for_status(hosts[0].address, "failed")
        hosts[0].start()
        service.wait_for_status(hosts[0].address, "active")
        assert service.client.get("/cluster/web").json()["status"] == "ok"
