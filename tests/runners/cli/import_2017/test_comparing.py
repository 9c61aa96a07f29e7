"""What would be done, and what differs, decided without any service."""

from dataclasses import replace

from runners.cli.import_2017.comparing import Difference, differences, in_order, planned
from runners.cli.import_2017.fleet import Cluster, Fleet, Host, Resource

SECRET = "a-made-up-secret"  # noqa: S105 - that is what it is


def fleet() -> Fleet:
    return Fleet(
        networks={"blue": Resource("flannel_server", {"address": "a:1"})},
        managers={"prod": Resource("openshift", {"apiserver": "https://k/api/", "token": SECRET})},
        clusters={"web": Cluster("blue", "prod", ("10.0.0.2", "10.0.0.1"))},
        hosts={f"10.0.0.{n}": Host("", "a key", "root") for n in (1, 2, 3)},
    )


def as_kept(old: Fleet) -> Fleet:
    """The same, as this service shows it."""
    masked = Resource("openshift", {"server_url": "https://k", "token": "********"})
    return Fleet(old.networks, {"prod": masked}, old.clusters, old.hosts)


def test_nothing_differs_where_the_words_differ_but_say_the_same() -> None:
    assert list(differences(fleet(), as_kept(fleet()))) == []
    assert {row.would for row in planned(fleet(), as_kept(fleet()))} == {"same"}


def test_an_empty_service_is_given_everything_members_first_in_order_of_joining() -> None:
    old = fleet()
    old.hosts["10.0.0.3"] = Host("cmdb", "a key")
    rows = planned(old, Fleet())
    assert rows[-1] == ("host/10.0.0.3", "add", "as root, of source cmdb")
    assert {row.would for row in rows} == {"add"}
    assert in_order(fleet()) == ["10.0.0.2", "10.0.0.1", "10.0.0.3"]
    assert not any(SECRET in repr(row) for row in rows)


def test_a_record_has_no_secret_where_it_is_printed() -> None:
    assert SECRET not in repr(fleet())
    assert "a key" not in repr(fleet())


def test_options_that_differ_are_named_and_their_values_are_not_said() -> None:
    new = as_kept(fleet())
    new.managers["prod"] = Resource("openshift", {"server_url": "https://other"})
    assert list(differences(fleet(), new)) == [
        Difference("containermanager/prod", "options.server_url", "one", "one"),
        Difference("containermanager/prod", "options.token", "one", "none"),
    ]


def test_a_host_that_is_there_without_a_cluster_joins_and_in_another_one_differs() -> None:
    new = as_kept(fleet())
    new.clusters = {"web": replace(new.clusters["web"], members=("10.0.0.2",))}
    assert [row for row in planned(fleet(), new) if row.would != "same"] == [
        ("host/10.0.0.1", "join", "into web")
    ]
    new.clusters["db"] = Cluster("default", "", ("10.0.0.1",))
    assert list(differences(fleet(), new)) == [Difference("host/10.0.0.1", "cluster", "web", "db")]


def test_a_member_that_is_in_two_clusters_or_that_nobody_knows_is_told() -> None:
    old = fleet()
    old.clusters["db"] = Cluster("default", "", ("10.0.0.1", "10.0.0.99"))
    new = as_kept(fleet())
    new.clusters = {**new.clusters, "db": Cluster("default", "", ())}
    assert list(differences(old, new)) == [
        Difference("cluster/db", "hosts", "10.0.0.1", ""),
        Difference("cluster/db", "hosts", "10.0.0.99", ""),
    ]


def test_what_only_the_new_one_has_is_no_difference() -> None:
    new = as_kept(fleet())
    new.hosts = {**new.hosts, "10.0.0.50": Host("")}
    assert list(differences(fleet(), new)) == []
