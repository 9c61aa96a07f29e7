"""`/cluster/{name}/hosts` and `/cluster/{name}/hosts/{address}`."""

import httpx
import pytest

from tests.web.service import WebService

A, B, C, D = (f"10.0.0.{i}" for i in range(1, 5))


@pytest.fixture
def fleet(service: WebService, api: httpx.Client, key: str) -> httpx.Client:
    """Clusters `web` and `db`; A, B and C are set up, D is still being looked at."""
    for name in ("web", "db"):
        api.put(f"/cluster/{name}")
    for address in (A, B, C, D):
        api.put(f"/host/{address}", json={"ssh_priv_key": key})
        if address != D:
            service.settle(address)
    return api


def members(api: httpx.Client, cluster: str = "web") -> list[str]:
    """Who is in a cluster."""
    found: list[str] = api.get(f"/cluster/{cluster}/hosts").json()
    return found


def swap(api: httpx.Client, old: list[str], new: list[str]) -> httpx.Response:
    """Put a member list in place of another."""
    return api.put("/cluster/web/hosts", json={"old": old, "new": new})


def test_a_host_joins_is_found_and_leaves(fleet: httpx.Client) -> None:
    path = f"/cluster/web/hosts/{A}"
    assert fleet.get(path).status_code == 404
    joined = fleet.put(path)
    assert (joined.status_code, joined.json()) == (200, [A])
    found = fleet.get(path)
    assert (found.status_code, found.json()) == (200, [A])
    assert fleet.get(f"/host/{A}").json()["status"] == "active"
    left = fleet.delete(path)
    assert (left.status_code, left.json()) == (200, [])
    assert fleet.get(path).status_code == 404
    assert fleet.get(f"/host/{A}").json()["status"] == "disassociated"


def test_joining_and_leaving_again_are_no_events(service: WebService, fleet: httpx.Client) -> None:
    fleet.put(f"/cluster/web/hosts/{A}")
    happened = service.topics()
    assert fleet.put(f"/cluster/web/hosts/{A}").json() == [A]
    assert fleet.delete(f"/cluster/web/hosts/{B}").status_code == 200
    assert fleet.delete("/cluster/web/hosts/10.1").status_code == 200
    assert fleet.delete("/cluster/web/hosts/9.9.9.9").status_code == 200
    assert service.topics() == happened


def test_members_are_listed_in_order_of_joining(fleet: httpx.Client) -> None:
    for address in (C, A, B):
        fleet.put(f"/cluster/web/hosts/{address}")
    assert members(fleet) == [C, A, B]


def test_a_cluster_or_host_that_is_not_there_is_404(fleet: httpx.Client) -> None:
    for verb in ("GET", "PUT", "DELETE"):
        assert fleet.request(verb, f"/cluster/none/hosts/{A}").status_code == 404
        assert fleet.request(verb, f"/cluster/a.b/hosts/{A}").status_code == 404
    assert fleet.get("/cluster/none/hosts").status_code == 404
    assert fleet.put("/cluster/none/hosts", json={"old": [], "new": []}).status_code == 404
    for address in ("9.9.9.9", "10.1"):
        for verb in ("GET", "PUT"):
            assert fleet.request(verb, f"/cluster/web/hosts/{address}").status_code == 404


def test_a_newcomer_that_is_not_ready_or_is_elsewhere_is_409(
    service: WebService, fleet: httpx.Client
) -> None:
    fleet.put(f"/cluster/db/hosts/{B}")
    service.fail(C, "Connection refused: is sshd running?")
    for address, word in ((B, "db"), (C, "Connection refused"), (D, "investigating")):
        alone = fleet.put(f"/cluster/web/hosts/{address}")
        assert alone.status_code == 409
        assert word in alone.json()["detail"]
        assert swap(fleet, [], [A, address]).status_code == 409
    unknown = swap(fleet, [], [A, "9.9.9.9"])
    assert unknown.status_code == 409
    assert unknown.json()["errors"][0]["key"] == "new"
    assert members(fleet) == []


def test_the_list_is_swapped_all_at_once_and_old_is_compared_as_a_set(fleet: httpx.Client) -> None:
    answer = swap(fleet, [], [B, A, B])
    assert (answer.status_code, answer.json()) == (200, [B, A])
    assert swap(fleet, [A, B, A], [A, C]).json() == [A, C]
    assert members(fleet) == [A, C]
    assert fleet.get(f"/host/{B}").json()["status"] == "disassociated"


def test_a_list_that_has_changed_meanwhile_is_409_and_stays(fleet: httpx.Client) -> None:
    swap(fleet, [], [A])
    for old in ([], [B], [A, B]):
        answer = swap(fleet, old, [A, B, C])
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["key"] == "old"
    assert members(fleet) == [A]


def test_a_swap_whose_answer_was_lost_can_be_sent_again(fleet: httpx.Client) -> None:
    for _ in range(2):
        answer = swap(fleet, [], [A, B])
        assert (answer.status_code, answer.json()) == (200, [A, B])


def test_members_that_stay_are_not_judged_again(service: WebService, fleet: httpx.Client) -> None:
    swap(fleet, [], [A])
    service.fail(A, "gone")
    assert swap(fleet, [A], [A, B]).status_code == 200
    assert fleet.put(f"/cluster/web/hosts/{A}").status_code == 200


def test_addresses_in_the_lists_are_canonical(fleet: httpx.Client) -> None:
    assert swap(fleet, [], [f"::ffff:{A}", A]).json() == [A]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "old"),
        ({"old": []}, "new"),
        ({"new": []}, "old"),
        ({"old": None, "new": []}, "old"),
        ({"old": "10.0.0.1", "new": []}, "old"),
        ({"old": {}, "new": []}, "old"),
        ({"old": [], "new": [1]}, "new"),
        ({"old": [], "new": ["10.1"]}, "new"),
        ({"old": [[]], "new": []}, "old"),
        ({"old": [], "new": [None]}, "new"),
    ],
)
def test_lists_that_are_wrong_are_400_and_named(
    client: httpx.Client, body: dict[str, object], key: str
) -> None:
    client.put("/cluster/members-400")
    answer = client.put("/cluster/members-400/hosts", json=body)
    assert answer.status_code == 400
    assert key in {error["key"] for error in answer.json()["errors"]}
