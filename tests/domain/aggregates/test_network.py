"""A network: there or not, like this or otherwise, used or not."""

import pytest

from domain.aggregates.network import Created, Network, Released, Removed, TakenUp, network_request
from tests.domain.given import given

SERVER = network_request("flannel_server", {"address": "10.0.0.1:8080"})
ETCD = network_request("flannel_etcd", {})
CREATED = Created("blue", "flannel_server", {"address": "10.0.0.1:8080"})


def test_a_network_is_created_and_the_same_again_is_no_news() -> None:
    given(Network, "blue").when(Network.create, SERVER).then(CREATED)
    given(Network, "blue", CREATED).when(Network.create, SERVER).then()


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        (ETCD, "type"),
        (network_request("flannel_server", {"address": "10.0.0.2:8080"}), "options.address"),
    ],
)
def test_another_network_of_the_same_name_contradicts(wanted: object, key: str) -> None:
    given(Network, "blue", CREATED).when(Network.create, wanted).refuses("conflict", key)


def test_a_used_network_cannot_be_removed_until_its_last_user_is_gone() -> None:
    used = [CREATED, TakenUp("web"), TakenUp("db"), Released("web")]
    refusal = given(Network, "blue", *used).when(Network.remove).refuses("conflict")
    assert "db" in refusal.sentence
    given(Network, "blue", *used, Released("db")).when(Network.remove).then(Removed())


def test_a_network_that_is_not_there_can_neither_be_used_nor_removed() -> None:
    for gone in ([], [CREATED, Removed()]):
        given(Network, "blue", *gone).when(Network.take_up, "web").refuses("conflict", "network")
        given(Network, "blue", *gone).when(Network.remove).refuses("not_found")
        given(Network, "blue", *gone).when(Network.release, "web").then()


def test_a_removed_network_may_come_back_as_another() -> None:
    given(Network, "blue", CREATED, Removed()).when(Network.create, ETCD).then(
        Created("blue", "flannel_etcd", {})
    )


def test_the_built_in_network_is_there_without_an_event_and_stays() -> None:
    given(Network, "default").when(Network.create, ETCD).then()
    given(Network, "default").when(Network.take_up, "web").then()
    given(Network, "default").when(Network.release, "web").then()
    given(Network, "default").when(Network.remove).refuses("conflict")


def test_the_built_in_network_cannot_be_another() -> None:
    given(Network, "default").when(Network.create, SERVER).refuses("conflict", "type")
    etcd = network_request("flannel_etcd", {"prefix": "/net"})
    given(Network, "default").when(Network.create, etcd).refuses("conflict", "options.prefix")
