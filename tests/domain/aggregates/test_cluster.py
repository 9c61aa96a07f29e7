"""What a cluster decides."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.aggregates.cluster import (
    Cluster,
    Created,
    HostJoined,
    HostLeft,
    RemovalStarted,
    Removed,
)
from domain.event import Event
from tests.domain.given import Given, given

CREATED = Created("web", "default", "")
ONE, TWO = HostJoined("10.0.0.1"), HostJoined("10.0.0.2")


def cluster(*events: Event) -> Given[Cluster]:
    """A cluster to which this happened."""
    return given(Cluster, "web", *events)


def test_a_cluster_is_created_and_the_same_again_is_no_news() -> None:
    cluster().when(Cluster.create, "default", "").then(CREATED)
    cluster(CREATED).when(Cluster.create, "default", "").then()


@pytest.mark.parametrize(
    ("network", "manager", "key"),
    [("other", "", "network"), ("default", "k8s", "container_manager")],
)
def test_a_cluster_that_exists_with_other_values_is_a_conflict_that_names_the_key(
    network: str, manager: str, key: str
) -> None:
    cluster(CREATED).when(Cluster.create, network, manager).refuses("conflict", key)


def test_hosts_are_members_in_order_of_joining_and_once() -> None:
    joined = cluster(CREATED, TWO, ONE).when(Cluster.add, "10.0.0.2").then()
    assert list(joined.members) == ["10.0.0.2", "10.0.0.1"]
    cluster(CREATED, TWO).when(Cluster.add, "10.0.0.1").then(ONE)


def test_a_host_that_comes_back_is_the_last() -> None:
    back = cluster(CREATED, ONE, TWO, HostLeft("10.0.0.1", "taken_out")).when(
        Cluster.add, "10.0.0.1"
    )
    assert list(back.then(ONE).members) == ["10.0.0.2", "10.0.0.1"]


def test_dropping_who_is_no_member_is_no_news() -> None:
    cluster(CREATED, ONE).when(Cluster.drop, "10.0.0.2").then()
    cluster(CREATED, ONE).when(Cluster.drop, "10.0.0.1").then(HostLeft("10.0.0.1", "taken_out"))


@pytest.mark.parametrize("old", [["10.0.0.2", "10.0.0.1"], ["10.0.0.1", "10.0.0.2", "10.0.0.2"]])
def test_old_is_compared_as_a_set(old: list[str]) -> None:
    cluster(CREATED, ONE, TWO).when(Cluster.must_have_members, old).then()


@pytest.mark.parametrize("old", [[], ["10.0.0.1"], ["10.0.0.1", "10.0.0.2", "10.0.0.3"]])
def test_another_old_is_a_conflict(old: list[str]) -> None:
    cluster(CREATED, ONE, TWO).when(Cluster.must_have_members, old).refuses("conflict", "old")


def test_a_long_difference_is_told_short() -> None:
    old = [f"10.0.1.{n}" for n in range(200)]
    refused = cluster(CREATED).when(Cluster.must_have_members, old).refuses("conflict", "old")
    assert "and 195 more" in refused.sentence
    assert len(refused.sentence) < 250


REMOVING = (CREATED, ONE, RemovalStarted())


@pytest.mark.parametrize(
    "command",
    [
        lambda it: it.create("default", ""),
        lambda it: it.add("10.0.0.9"),
        lambda it: it.must_have_members(["10.0.0.1"]),
    ],
)
def test_a_cluster_that_is_being_removed_takes_nobody(command: Callable[[Cluster], None]) -> None:
    cluster(*REMOVING).when(command).refuses("conflict")


def test_the_start_of_a_removal_is_said_once_and_members_can_leave() -> None:
    cluster(CREATED, ONE).when(Cluster.start_removal).then(RemovalStarted())
    cluster(*REMOVING).when(Cluster.start_removal).then()
    cluster(*REMOVING).when(Cluster.drop, "10.0.0.1").then(HostLeft("10.0.0.1", "taken_out"))
    cluster(*REMOVING, HostLeft("10.0.0.1", "taken_out")).when(Cluster.remove).then(Removed())


def test_removing_a_cluster_with_members_is_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="still has members"):
        cluster(CREATED, ONE).when(Cluster.remove).then()


@pytest.mark.parametrize("history", [(), (CREATED, Removed())])
def test_what_is_asked_of_an_unknown_cluster_is_refused(history: tuple[Event, ...]) -> None:
    for command in (
        lambda it: it.add("10.0.0.1"),
        lambda it: it.drop("10.0.0.1"),
        lambda it: it.must_have_members([]),
        Cluster.start_removal,
        Cluster.remove,
    ):
        cluster(*history).when(command).refuses("not_found")


def test_a_name_comes_back_with_other_values_and_its_stream_goes_on() -> None:
    back = cluster(CREATED, Removed()).when(Cluster.create, "other", "k8s")
    assert back.then(Created("web", "other", "k8s")).version == 3


def test_a_hole_in_a_stream_is_never_folded_over() -> None:
    subject = cluster(CREATED, ONE).subject
    torn: list[Any] = [event for event in subject.pending if event != CREATED]
    with pytest.raises(ValueError, match="hole"):
        Cluster.replay("web", torn)
