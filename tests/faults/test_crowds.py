"""Many at the same moment, on one cluster: all succeed, none twice, none refused."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from domain.log.unit import Unit
from tests.faults.client import Answer, Client, address, registration
from tests.faults.conftest import ALONE
from tests.faults.models.population import become_active, maintenance
from tests.faults.models.whole import database_of, must_be_whole
from tests.support.service import Service
from tests.support.stores import ACT, WAIT_TIMEOUT_S

CONNECTIONS = 64
HOSTS = [300, *(pytest.param(count, marks=pytest.mark.proof) for count in (1000, 5000))]
JOINS = 40


def all_at_once(
    services: Sequence[Service], asks: Sequence[Callable[[Client], Answer]]
) -> list[Answer]:
    """Every request as soon as one of the connections is free; the first ones together."""
    together = threading.Barrier(CONNECTIONS)
    local = threading.local()
    clients = iter([Client(services[n % len(services)]) for n in range(CONNECTIONS)])

    def connect() -> None:
        local.client = next(clients)
        local.client.get("/clusters")
        together.wait()

    with ThreadPoolExecutor(CONNECTIONS, initializer=connect) as pool:
        return list(pool.map(lambda ask: ask(local.client), asks))


def must_have_joined_once(service: Service, cluster: str, addresses: Sequence[str]) -> None:
    """All of them are members, each once, in the cluster's list and its counts."""
    client = Client(service)
    members = client.get(f"/cluster/{cluster}/hosts")
    assert sorted(members) == sorted(addresses)
    assert client.get(f"/cluster/{cluster}")["hosts"]["total"] == len(addresses)


@pytest.mark.parametrize("count", HOSTS)
def test_hosts_that_register_into_one_cluster_at_the_same_moment_all_succeed(
    count: int, service: Service, database_url: str
) -> None:
    assert Client(service).put("/cluster/web").status == 201
    addresses = [address(1, number) for number in range(count)]
    asks = [
        lambda client, host=host: client.put(f"/host/{host}", registration("web"))
        for host in addresses
    ]
    answers = all_at_once([service], asks)
    assert {answer.status for answer in answers} == {201}
    assert [answer.body["address"] for answer in answers] == addresses
    must_have_joined_once(service, "web", addresses)
    must_be_whole(database_of(service, database_url))


def test_joins_of_the_same_and_of_other_hosts_at_the_same_moment_all_succeed(
    service: Service, database_url: str
) -> None:
    client = Client(service)
    addresses = [address(1, number) for number in range(JOINS)]
    for name in ("web", "other"):
        assert client.put(f"/cluster/{name}").status == 201
    become_ready(service, database_url, addresses)
    asks = [
        lambda client, host=host: client.put(f"/cluster/web/hosts/{host}") for host in addresses
    ]
    answers = all_at_once([service], [*asks, *asks])
    assert {answer.status for answer in answers} == {200}
    must_have_joined_once(service, "web", addresses)
    assert client.get("/cluster/web")["status"] == "ok"
    must_be_whole(database_of(service, database_url))


def test_of_two_clusters_that_want_the_same_hosts_at_the_same_moment_each_host_is_in_one(
    service: Service, database_url: str
) -> None:
    client = Client(service)
    addresses = [address(1, number) for number in range(JOINS)]
    for name in ("web", "other"):
        assert client.put(f"/cluster/{name}").status == 201
    become_ready(service, database_url, addresses)
    asks = [
        lambda client, host=host, name=name: client.put(f"/cluster/{name}/hosts/{host}")
        for host in addresses
        for name in ("web", "other")
    ]
    answers = all_at_once([service], asks)
    for web, other in zip(answers[::2], answers[1::2], strict=True):
        assert sorted((web.status, other.status)) == [200, 409]
    members = [client.get(f"/cluster/{name}/hosts") for name in ("web", "other")]
    assert sorted(members[0] + members[1]) == sorted(addresses)
    must_be_whole(database_of(service, database_url))


@pytest.mark.parametrize("count", HOSTS)
def test_two_services_on_one_database_take_a_crowd_together(
    count: int, tmp_path: Path, postgres_url: str
) -> None:
    with Service(tmp_path / "one", postgres_url, *ALONE) as one:
        key = (one.data / "master.key").read_text().strip()
        with Service(tmp_path / "two", postgres_url, *ALONE, COMMISSAIRE_MASTER_KEY=key) as two:
            two.password = one.password
            (two.data / "users.json").write_bytes((one.data / "users.json").read_bytes())
            assert Client(one).put("/cluster/web").status == 201
            assert Client(two).get("/clusters") == ["web"]
            addresses = [address(1, number) for number in range(count)]
            asks = [
                lambda client, host=host: client.put(f"/host/{host}", registration("web"))
                for host in addresses
            ]
            answers = all_at_once([one, two], asks)
            assert {answer.status for answer in answers} == {201}
            must_have_joined_once(one, "web", addresses)
            must_have_joined_once(two, "web", addresses)
    must_be_whole(postgres_url)


def become_ready(service: Service, database_url: str, addresses: Sequence[str]) -> None:
    """Register hosts that are set up and in no cluster."""
    with maintenance(service, database_url) as (writer, vault):

        def register(unit: Unit) -> None:
            for host in addresses:
                become_active(unit, vault, host, None)

        writer.submit(ACT, register).result(WAIT_TIMEOUT_S)
