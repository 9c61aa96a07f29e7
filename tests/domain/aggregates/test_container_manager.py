"""A container manager: there or not, like this or otherwise, used or not, and its nodes."""

import pytest

from domain.aggregates.container_manager import MASK, ContainerManager, container_manager_request
from domain.aggregates.container_manager_events import (
    Created,
    NodeGivenUp,
    NodeRegistered,
    NodeRemoved,
    NodeUncordoned,
    NodeUnwanted,
    NodeWanted,
    Released,
    RemovalStarted,
    Removed,
    TakenUp,
    UncordonWanted,
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


A = "10.0.0.7"
TRIVIAL = Created("lab", "trivial", {})
OPERATION = "019a8f6e-6c3c-7d3e-9b1a-0f4d0c8c7a55"
MARK = "container_manager/prod@2 2026-01-02T03:04:05.000006"
WISHED = NodeWanted(A, "web", MARK)
UNWISHED = NodeUnwanted(A, MARK)


def test_nodes_of_a_trivial_manager_come_and_go_once() -> None:
    node = NodeRegistered(A)
    manager = ContainerManager
    given(manager, "lab", TRIVIAL).when(manager.keep_node, A).then(node)
    given(manager, "lab", TRIVIAL, node).when(manager.keep_node, A).then()
    given(manager, "lab", TRIVIAL, node).when(manager.want_uncordon, A, OPERATION).then()
    given(manager, "lab", TRIVIAL, node).when(manager.dismiss_node, A).then(NodeRemoved(A))
    given(manager, "lab", TRIVIAL, node).when(manager.dismiss_node, "10.0.0.8").then()


def test_a_node_is_wanted_before_it_is_registered_and_each_once() -> None:
    manager = ContainerManager
    given(manager, "prod", CREATED).when(manager.want_node, A, "web").then(WISHED)
    given(manager, "prod", CREATED, WISHED).when(manager.want_node, A, "web").then()
    given(manager, "prod", CREATED).when(manager.register_node, A).then()
    wished = given(manager, "prod", CREATED, WISHED)
    assert wished.when(manager.register_node, A).then(NodeRegistered(A)).nodes == {A}
    registered = given(manager, "prod", CREATED, WISHED, NodeRegistered(A))
    registered.when(manager.register_node, A).then()
    registered.when(manager.want_node, A, "web").then()


@pytest.mark.parametrize("told", [[], [NodeRegistered(A)], [NodeRegistered(A, found=True)]])
def test_a_node_that_may_be_there_is_unwanted_until_it_was_removed(
    told: list[NodeRegistered],
) -> None:
    manager = ContainerManager
    given(manager, "prod", CREATED, WISHED, *told).when(manager.dismiss_node, A).then(UNWISHED)
    unwanted = [CREATED, WISHED, *told, UNWISHED]
    given(manager, "prod", *unwanted).when(manager.dismiss_node, A).then()
    given(manager, "prod", *unwanted).when(manager.register_node, A).then()
    gone = given(manager, "prod", *unwanted).when(manager.remove_node, A).then(NodeRemoved(A))
    assert not gone.has_wishes


def test_what_is_wanted_again_before_it_was_removed_keeps_its_mark() -> None:
    manager = ContainerManager
    unwanted = [CREATED, WISHED, NodeRegistered(A), UNWISHED]
    again = NodeWanted(A, "db", MARK)
    given(manager, "prod", *unwanted).when(manager.want_node, A, "db").then(again)
    given(manager, "prod", *unwanted, again).when(manager.remove_node, A).then()
    removed = [*unwanted, NodeRemoved(A)]
    fresh = MARK.replace("@2", "@6")
    given(manager, "prod", *removed).when(manager.want_node, A, "db").then(
        NodeWanted(A, "db", fresh)
    )


def test_a_cordon_is_to_be_taken_away_once_and_of_nodes_only() -> None:
    manager = ContainerManager
    node = [CREATED, WISHED, NodeRegistered(A)]
    wanted = UncordonWanted(A, OPERATION)
    given(manager, "prod", CREATED).when(manager.want_uncordon, A, OPERATION).then()
    given(manager, "prod", *node).when(manager.want_uncordon, A, OPERATION).then(wanted)
    given(manager, "prod", *node, wanted).when(manager.want_uncordon, A, OPERATION).then()
    given(manager, "prod", *node, wanted).when(manager.uncordon, A, OPERATION).then(
        NodeUncordoned(A, OPERATION)
    )
    given(manager, "prod", *node, wanted).when(manager.uncordon, A, "another").then()


def test_a_cordon_that_waits_to_be_taken_away_is_not_forgotten_for_another() -> None:
    manager = ContainerManager
    node = [CREATED, WISHED, NodeRegistered(A), UncordonWanted(A, OPERATION)]
    both = UncordonWanted(A, f"{OPERATION} another")
    given(manager, "prod", *node).when(manager.want_uncordon, A, "another").then(both)
    given(manager, "prod", *node, both).when(manager.want_uncordon, A, OPERATION).then()
    given(manager, "prod", *node, both).when(manager.uncordon, A, OPERATION).then()
    given(manager, "prod", *node, both).when(manager.uncordon, A, both.operation).then(
        NodeUncordoned(A, both.operation)
    )


def test_a_removed_manager_is_gone_once_it_was_told_of_the_nodes_that_left() -> None:
    manager = ContainerManager
    left = [CREATED, WISHED, NodeRegistered(A), UNWISHED]
    leaving = given(manager, "prod", *left).when(manager.remove).then(RemovalStarted())
    assert (leaving.exists, leaving.has_token) == (False, True)
    begun = given(manager, "prod", *left, RemovalStarted())
    begun.when(manager.remove).refuses("not_found")
    begun.when(manager.take_up, "web").refuses("conflict", "container_manager")
    gone = begun.when(manager.remove_node, A).then(NodeRemoved(A), Removed())
    assert not gone.has_token


def test_a_removed_manager_that_cannot_be_told_is_given_up() -> None:
    manager = ContainerManager
    left = [CREATED, WISHED, UNWISHED, RemovalStarted()]
    given(manager, "prod", *left).when(manager.give_up).then(NodeGivenUp(A), Removed())
    given(manager, "prod", CREATED, WISHED).when(manager.give_up).then()
    given(manager, "prod", *left).when(manager.create, WANTED).then(
        NodeGivenUp(A), Removed(), CREATED
    )
