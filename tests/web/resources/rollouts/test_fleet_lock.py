"""FleetLock over HTTP, and the policies that say how many slots there are."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.commands import budget
from tests.web.resources.operations.test_operation_starts import post
from tests.web.resources.operations.test_operations import ADDRESSES, advance, cluster_of
from tests.web.resources.rollouts.zincati import Zincati
from tests.web.service import WebService, serving
from web.http.clients import Clients
from web.http.requests import Limits

IDS = [f"{number:032x}" for number in range(1, len(ADDRESSES) + 1)]


@pytest.fixture
def fleet_api(service: WebService, api: httpx.Client, key: str) -> httpx.Client:
    """Three active hosts, each with the id that its client calls itself."""
    cluster_of(service, api, key, *ADDRESSES)
    for address, name in zip(ADDRESSES, IDS, strict=True):
        labels = {"fleetlock-id": name}
        assert api.put(f"/host/{address}/labels", json=labels).status_code == 200
    return api


def clients(service: WebService) -> list[Zincati]:
    """One on each host."""
    return [Zincati(service.url, name) for name in IDS]


def test_hosts_restart_one_after_the_other_and_never_more_than_there_are_slots(
    service: WebService, fleet_api: httpx.Client
) -> None:
    assert fleet_api.put("/cluster/web/policy", json={"max_unavailable": 2}).status_code == 201
    away, most, guard = set[str](), list[int](), threading.Lock()

    def update(client: Zincati) -> None:
        def restart() -> None:
            with guard:
                away.add(client.id)
                most.append(len(away))
            fleet_api.get("/fleet")
            with guard:
                away.discard(client.id)

        client.update(restart)

    with ThreadPoolExecutor(len(IDS)) as pool:
        list(pool.map(update, clients(service)))
    assert max(most) <= 2
    assert len(most) == len(IDS), "each has restarted once"
    assert fleet_api.get("/cluster/web/locks").json() == []


def test_of_two_that_ask_for_the_last_slot_one_gets_it_and_one_that_dies_keeps_it(
    service: WebService, fleet_api: httpx.Client
) -> None:
    pair = clients(service)[:2]
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(Zincati.pre_reboot, pair))
    assert sorted(got) == [False, True]
    dead, other = pair[got.index(True)], pair[got.index(False)]
    address = ADDRESSES[IDS.index(dead.id)]
    service.fail(address, "It never came back.")
    assert not other.pre_reboot(), "it holds it, and has failed: one slot, not two"
    (lock,) = fleet_api.get("/cluster/web/locks").json()
    assert (lock["address"], lock["id"]) == (address, dead.id)
    assert fleet_api.get("/fleet").json()["locks"] == [{"cluster": "web", **lock}]
    service.settle(address)
    assert not other.pre_reboot()
    assert fleet_api.delete(f"/cluster/web/locks/{address}").json() == []
    assert fleet_api.delete(f"/cluster/web/locks/{address}").status_code == 404
    assert other.pre_reboot()


def test_a_slot_counts_together_with_failed_members_and_an_operation(
    service: WebService, fleet_api: httpx.Client
) -> None:
    assert fleet_api.put("/cluster/web/policy", json={"max_unavailable": 2}).status_code == 201
    first, second, third = clients(service)
    service.fail(ADDRESSES[2], "It is off.")
    name = post(fleet_api, max_parallel=3).json()["id"]
    advance(service, name)
    counts = fleet_api.get(f"/operation/{name}").json()["counts"]
    assert (counts["in_process"], counts["waiting"]) == (1, 1)
    assert not second.pre_reboot(), "one has failed, and one is in process"
    answer = first.ask("pre-reboot")
    assert (answer.status_code, answer.json()["kind"]) == (409, "conflict")
    assert third.pre_reboot(), "it is away already"


def test_the_address_of_a_client_is_its_host_where_no_label_says_so(
    tmp_path: Path, key: str
) -> None:
    trusted = Clients([network("127.0.0.1/32")])
    with serving(tmp_path, clients=trusted) as service, service.client() as api:
        cluster_of(service, api, key, "127.0.0.9")
        told = Zincati(service.url, "x", headers={"x-forwarded-for": "127.0.0.9"})
        assert told.pre_reboot()
        assert told.steady_state()
        assert told.pre_reboot()
        neighbour = Zincati(service.url, "y", headers={"x-forwarded-for": "127.0.0.9"})
        assert "as x" in neighbour.ask("pre-reboot").json()["value"], "two behind one address"
        assert neighbour.steady_state(), "it holds none"
        (lock,) = api.get("/cluster/web/locks", headers=told.headers).json()
        assert lock["id"] == "x", "who took it holds it still"
        stranger = Zincati(service.url, "x", headers={"x-forwarded-for": "127.0.0.8"})
        assert stranger.ask("pre-reboot").status_code == 404
        elsewhere = Zincati(service.url, "x", headers={"x-forwarded-for": "10.0.0.1"})
        assert elsewhere.ask("pre-reboot").json()["kind"] == "not_allowed"
        unknown = Zincati(service.url, "x")
        assert unknown.ask("pre-reboot").status_code == 403, "a proxy that does not say for whom"


def network(text: str) -> Any:
    """A network."""
    from ipaddress import ip_network

    return ip_network(text)


@pytest.mark.parametrize(
    ("sent", "headers"),
    [
        ({"client_params": {"id": "x", "group": "web"}}, {}),
        ({"client_params": {"id": "x", "group": "web"}}, {"fleet-lock-protocol": "yes"}),
        ({"client_params": {"id": "", "group": "web"}}, {"fleet-lock-protocol": "true"}),
        ({"client_params": {"id": "x", "group": "a/b"}}, {"fleet-lock-protocol": "true"}),
        ({"client_params": {"id": "x"}}, {"fleet-lock-protocol": "true"}),
        ({}, {"fleet-lock-protocol": "true"}),
        ([], {"fleet-lock-protocol": "true"}),
    ],
)
def test_what_is_none_of_the_protocol_is_400_in_its_words(
    front: WebService, sent: Any, headers: dict[str, str]
) -> None:
    for path in ("pre-reboot", "steady-state"):
        answer = httpx.post(f"{front.url}/v1/{path}", json=sent, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["kind"] == "invalid"
        assert "fleet-lock-protocol" in answer.json()["value"] or "group" in answer.json()["value"]


def test_another_verb_and_a_body_too_large_are_refused_in_its_words_too(front: WebService) -> None:
    for path in ("pre-reboot", "steady-state"):
        url = f"{front.url}/v1/{path}"
        verb = httpx.get(url)
        assert (verb.status_code, verb.headers["allow"]) == (405, "POST")
        assert (verb.json().keys(), verb.json()["kind"]) == ({"kind", "value"}, "verb")
        large = httpx.post(url, content=b"x" * (Limits().body_bytes_max + 1))
        assert large.status_code == 413
        assert (large.json().keys(), large.json()["kind"]) == ({"kind", "value"}, "body_size")


def test_a_policy_is_read_changed_by_administrators_and_told_of_the_past(
    service: WebService, fleet_api: httpx.Client
) -> None:
    nothing = {"max_unavailable": None}
    assert (
        fleet_api.get("/cluster/web/policy").json() | nothing
        == fleet_api.get("/cluster/web/policy").json()
    )
    before = service.events[-1].recorded_at
    changed = fleet_api.put("/cluster/web/policy", json={"max_unavailable": "50%"})
    assert changed.json()["max_unavailable"] == "50%"
    assert fleet_api.get("/cluster/web/policy").json() == changed.json()
    was = fleet_api.get("/cluster/web/policy", params={"at": before}).json()
    assert was["max_unavailable"] is None
    service.perform(lambda unit: budget.take_lock(unit, "web", ADDRESSES[0], IDS[0]))
    then = {"at": service.events[-1].recorded_at}
    (lock,) = fleet_api.get("/cluster/web/locks").json()
    assert fleet_api.delete(f"/cluster/web/locks/{ADDRESSES[0]}").status_code == 200
    assert fleet_api.put("/cluster/web/policy", json={}).status_code == 201
    assert fleet_api.get("/cluster/web/policy", params=then).json() == changed.json()
    assert fleet_api.get("/cluster/web/locks", params=then).json() == [lock]
    assert fleet_api.get("/fleet", params=then).json()["locks"] == [{"cluster": "web", **lock}]
    for body in ({"max_unavailable": 0}, {"max_unavailable": "0%"}, {"max": 1}):
        assert fleet_api.put("/cluster/web/policy", json=body).status_code == 400
    assert fleet_api.get("/cluster/none/policy").status_code == 404
    assert fleet_api.get("/cluster/none/locks").status_code == 404
    assert fleet_api.put("/cluster/none/policy", json={}).status_code == 404
    with service.client("operator") as operator:
        assert operator.put("/cluster/web/policy", json={}).status_code == 403
        assert operator.delete(f"/cluster/web/locks/{ADDRESSES[0]}").status_code == 403


def test_an_administrator_overrides_a_policy_with_a_note(
    service: WebService, fleet_api: httpx.Client
) -> None:
    assert fleet_api.put("/cluster/web/policy", json={"max_unavailable": 1}).status_code == 201
    asked = {"kind": "upgrade", "cluster": "web", "max_parallel": 3, "override_policy": True}
    with service.client("operator", headers={"commissaire-note": "CVE"}) as operator:
        assert operator.post("/operations", json=asked).status_code == 403
    assert fleet_api.post("/operations", json=asked).status_code == 400, "it does not say why"
    begun = fleet_api.post("/operations", json=asked, headers={"commissaire-note": "CVE"})
    assert begun.status_code == 201, begun.text
    advance(service, begun.json()["id"])
    record = fleet_api.get(f"/operation/{begun.json()['id']}").json()
    assert record["counts"]["in_process"] == 3
    assert (record["options"]["override_policy"], record["note"]) == (True, "CVE")
