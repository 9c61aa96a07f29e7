"""A container manager: there or not, like this or otherwise, used or not, and its nodes."""

import pytest

from domain.container_manager import (
    MASK,
    ContainerManager,
    Created,
    NodeRegistered,
    NodeRemoved,
    Released,
    Removed,
    TakenUp,
    container_manager_request,
)
from tests.domain.given import given

URL = "https://master.example.com:8443"
WANTED = container_manager_request("openshift", {"apiserver": f"{URL}/api/", "token": "s3cret"})
CREATED = Created("prod", "openshift", {"apiserver": f"{URL}/api/", "token": MASK})


def test_it_is_created_as_it_was_sent_but_for_its_token() -> None:
    given(ContainerManager, "prod").when(ContainerManager.create, WANTED).then(CREATED)


@pytest.mark.parametrize(
    "options",
    [
        {"apiserver": f"{URL}/api/", "token": MASK},
        {"token": "s3cret", "server_url": URL},
        {"server_url": f"{URL}/api/v1", "apiserver": URL, "token": MASK},
    ],
)
def test_what_says_the_same_is_no_news(options: dict[str, object]) -> None:
    again = container_manager_request("openshift", options)
    given(ContainerManager, "prod", CREATED).when(ContainerManager.create, again).then()


@pytest.mark.parametrize(
    ("kind", "options", "key"),
    [
        ("kubernetes", {"apiserver": URL, "token": MASK}, "type"),
        ("openshift", {"apiserver": "https://other", "token": MASK}, "options.server_url"),
        ("openshift", {"apiserver": URL}, "options.token"),
        ("openshift", {"apiserver": URL, "token": MASK, "ca_path": "/ca"}, "options.ca_path"),
    ],
)
def test_another_of_the_same_name_contradicts(
    kind: str, options: dict[str, object], key: str
) -> None:
    wanted = container_manager_request(kind, options)
    given(ContainerManager, "prod", CREATED).when(ContainerManager.create, wanted).refuses(
        "conflict", key
    )


def test_one_that_is_used_cannot_be_removed_until_its_last_user_is_gone() -> None:
    used = [CREATED, TakenUp("web"), TakenUp("db"), Released("db")]
    refusal = given(ContainerManager, "prod", *used).when(ContainerManager.remove)
    assert "web" in refusal.refuses("conflict").sentence
    given(ContainerManager, "prod", *used, Released("web")).when(ContainerManager.remove).then(
        Removed()
    )


def test_one_that_is_not_there_can_neither_be_used_nor_removed() -> None:
    for gone in ([], [CREATED, Removed()]):
        subject = given(ContainerManager, "prod", *gone)
        subject.when(ContainerManager.take_up, "web").refuses("conflict", "container_manager")
        subject.when(ContainerManager.remove).refuses("not_found")
        subject.when(ContainerManager.release, "web").then()


def test_one_that_was_removed_has_forgotten_its_token_and_may_come_back_as_another() -> None:
    removed = given(ContainerManager, "prod", CREATED, Removed())
    again = removed.when(ContainerManager.create, container_manager_request("trivial", {}))
    manager = again.then(Created("prod", "trivial", {}))
    assert isinstance(manager, ContainerManager)
    assert not manager.has_token
    assert manager.keeps_nodes_itself


def test_nodes_come_and_go_once() -> None:
    node = [CREATED, TakenUp("web"), NodeRegistered("10.0.0.7")]
    manager = ContainerManager
    given(manager, "prod", CREATED).when(manager.register_node, "10.0.0.7").then(node[-1])
    given(manager, "prod", *node).when(manager.register_node, "10.0.0.7").then()
    given(manager, "prod", *node).when(manager.remove_node, "10.0.0.7").then(
        NodeRemoved("10.0.0.7")
    )
    given(manager, "prod", *node).when(manager.remove_node, "10.0.0.8").then()
