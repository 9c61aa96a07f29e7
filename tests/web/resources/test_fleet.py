"""`/fleet`, `/fleet/hosts` and `/fleet/facets`: what is asked of the whole fleet."""

import httpx
import pytest

from domain.aggregates.host_events import FailureKind
from domain.log.unit import Unit
from tests.web.service import WebService

ADDRESSES = [f"192.168.7.{number}" for number in range(1, 8)]


@pytest.fixture
def fleet(service: WebService, api: httpx.Client, key: str) -> httpx.Client:
    """Seven hosts: two fedora in a cluster, two centos that failed, three that are new."""
    assert api.put("/cluster/web").status_code == 201
    for address in ADDRESSES:
        assert api.put(f"/host/{address}", json={"ssh_priv_key": key}).status_code == 201
    for address in ADDRESSES[:2]:
        service.settle(address, os="fedora")
        assert api.put(f"/cluster/web/hosts/{address}").status_code == 200
    for address in ADDRESSES[2:4]:
        service.settle(address, os="centos")
        fail(service, address, "unreachable", f"{address} does not answer.")
    for number, address in enumerate(ADDRESSES):
        labels = {"role": "db" if number % 2 else "web", "number": str(number)}
        assert api.put(f"/host/{address}/labels", json=labels).status_code == 200
    return api


def fail(service: WebService, address: str, kind: FailureKind, reason: str) -> None:
    """Let a host fail."""

    def failing(unit: Unit) -> None:
        unit.host(address).fail(kind, reason)

    service.perform(failing)


def found(api: httpx.Client, query: str) -> list[str]:
    """The last numbers of the hosts that a query finds, as one page has them."""
    answer = api.get(f"/fleet/hosts?{query}")
    assert answer.status_code == 200, answer.text
    return [record["address"].rpartition(".")[2] for record in answer.json()]


def test_a_record_says_where_a_host_is_and_why_it_failed(fleet: httpx.Client) -> None:
    active, failed = fleet.get("/fleet/hosts?limit=3").json()[::2]
    assert (active["status"], active["cluster"]) == ("active", "web") or active["cluster"] == "web"
    assert (active["kind"], active["reason"]) == (None, None)
    assert (failed["status"], failed["kind"], failed["cluster"]) == ("failed", "unreachable", None)
    assert failed["reason"] == "192.168.7.3 does not answer."
    assert failed["since"] <= failed["last_check"]
    assert failed["labels"] == {"number": "2", "role": "web"}
    assert failed["operation"] is None


@pytest.mark.parametrize(
    ("query", "hosts"),
    [
        ("status=failed", "3 4"),
        ("kind=unreachable&os=centos", "3 4"),
        ("kind=sudo", ""),
        ("cluster=web", "1 2"),
        ("os=fedora&label=role=db", "2"),
        ("label=role=db", "2 4 6"),
        ("label=role=db&label=number=3", "4"),
        ("label=role=db&label=number=2", ""),
        ("q=7.3", "3"),
        ("q=number%3D5", "6"),
        ("q=%25", ""),
        ("reboot_needed=unknown&limit=2", "1 2"),
        ("reboot_needed=true", ""),
        ("sort=-address&limit=2", "7 6"),
        ("sort=os&status=failed", "3 4"),
        ("sort=-status&limit=3", "7 6 5"),
    ],
)
def test_filters_find_what_they_say(fleet: httpx.Client, query: str, hosts: str) -> None:
    assert found(fleet, query) == hosts.split()


@pytest.mark.parametrize(
    "sort", ["address", "-address", "since", "-since", "status", "os", "-kind"]
)
def test_pages_have_each_host_once_whatever_they_are_sorted_by(
    fleet: httpx.Client, sort: str
) -> None:
    seen: list[str] = []
    path: str | None = f"/fleet/hosts?sort={sort}&limit=3"
    while path:
        answer = fleet.get(path)
        assert answer.status_code == 200, answer.text
        seen += [record["address"] for record in answer.json()]
        link = answer.links.get("next")
        path = link["url"].removeprefix("/api/v0") if link else None
    assert sorted(seen) == ADDRESSES
    whole = [record["address"] for record in fleet.get(f"/fleet/hosts?sort={sort}").json()]
    assert seen == whole


@pytest.mark.parametrize(
    "query",
    [
        "status=gone", "kind=none", "label=role", "label=-=x", "reboot_needed=yes", "sort=memory",
        "limit=0", "limit=1001", "after=%20", "sort=os&after=x", "cluster=a%20b", "q=", "color=red",
    ],
)  # fmt: skip
def test_bad_filters_are_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/fleet/hosts?{query}").status_code == 400


def test_a_cluster_that_is_none_is_not_taken_for_an_empty_one(api: httpx.Client) -> None:
    for path in ("/fleet/hosts", "/fleet/facets"):
        answer = api.get(f"{path}?cluster=wbe")
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "There is no cluster wbe: GET /api/v0/clusters lists them.",
        )
    assert api.post("/fleet/check", json={"cluster": "wbe"}).status_code == 404
    assert api.put("/cluster/wbe").status_code == 201
    assert api.get("/fleet/hosts?cluster=wbe").json() == []
    assert api.post("/fleet/check", json={"cluster": "wbe"}).status_code == 202


def test_facets_count_what_the_filters_leave(fleet: httpx.Client) -> None:
    counts = fleet.get("/fleet/facets").json()
    assert counts["total"] == len(ADDRESSES)
    assert counts["status"]["failed"] == 2
    assert counts["os"] == {"": 3, "centos": 2, "fedora": 2}
    assert counts["cluster"] == {"": 5, "web": 2}
    assert counts["kind"] == {"unreachable": 2}
    assert counts["labels"]["role"] == {"web": 4, "db": 3}
    for query in ("os=fedora", "cluster=web"):
        some = fleet.get(f"/fleet/facets?{query}").json()
        assert (some["total"], some["labels"]["role"]) == (2, {"db": 1, "web": 1})
    dbs = fleet.get("/fleet/facets?label=role=db").json()
    assert (dbs["total"], dbs["os"]) == (3, {"": 1, "centos": 1, "fedora": 1})
    assert dbs["labels"] == {"role": {"db": 3}, "number": {"1": 1, "3": 1, "5": 1}}


def test_the_fleet_in_small_says_what_failed_and_what_mends_it(fleet: httpx.Client) -> None:
    answer = fleet.get("/fleet")
    told = answer.json()
    assert told["position"] == int(answer.headers["commissaire-position"])
    assert told["hosts"]["total"] == len(ADDRESSES)
    (failed,) = told["failed"]
    assert (failed["kind"], failed["count"], failed["hosts"]) == (
        "unreachable", 2, ["192.168.7.3", "192.168.7.4"],
    )  # fmt: skip
    assert failed["cure"].startswith("See that the host is up")
    assert told["operations"] == []
    assert told["needs_a_person"] == []


def test_a_changed_host_key_needs_a_person(service: WebService, fleet: httpx.Client) -> None:
    fail(service, "192.168.7.5", "host_key", "It showed another key.")
    (need,) = fleet.get("/fleet").json()["needs_a_person"]
    assert (need["what"], need["hosts"]) == ("host_key", ["192.168.7.5"])


def test_removed_and_recovered_hosts_are_counted_no_more(
    service: WebService, fleet: httpx.Client
) -> None:
    assert fleet.delete("/host/192.168.7.3").status_code == 200
    service.settle("192.168.7.4", os="centos")
    counts = fleet.get("/fleet/facets").json()
    assert (counts["total"], counts["kind"], counts["os"]["centos"]) == (6, {}, 1)
    assert counts["labels"]["number"].get("2") is None
    assert found(fleet, "label=number=2") == []


def test_the_fleet_of_the_past_is_as_it_was(service: WebService, fleet: httpx.Client) -> None:
    at = fleet.get("/events?limit=1000").json()[-1]["time"].removesuffix("Z")
    before = {
        path: fleet.get(path).json() for path in ("/fleet/hosts?label=role=db", "/fleet/facets")
    }
    fleet.delete("/host/192.168.7.2")
    fleet.put("/host/192.168.7.4/labels", json={})
    for path, was in before.items():
        assert fleet.get(path).json() != was
        mark = "&" if "?" in path else "?"
        answer = fleet.get(f"{path}{mark}at={at}")
        assert answer.json() == was
        position = int(answer.headers["commissaire-position"])
        assert position < int(fleet.get("/fleet").headers["commissaire-position"])
    assert fleet.get(f"/fleet?at={at}").json()["hosts"]["total"] == len(ADDRESSES)
    assert fleet.get("/fleet?at=3000-01-01").status_code == 400
