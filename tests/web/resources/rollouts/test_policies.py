"""Policies of clusters over HTTP: their window and gate hold for locks, too."""

from typing import Any

import httpx
import pytest

from domain.commands import holds
from tests.web.resources.rollouts.test_fleet_lock import clients, fleet_api
from tests.web.service import WebService

__all__ = ["fleet_api"]

NEVER: dict[str, Any] = {
    "zone": "UTC",
    "starts": "0 0 29 2 *",
    "duration_s": 60,
    "except": [f"{year}-02-29" for year in range(2028, 2072, 4)],
}
ALWAYS: dict[str, Any] = {"zone": "UTC", "starts": "* * * * *", "duration_s": 3600}


def test_a_policy_has_a_window_and_a_gate_until_it_has_others(fleet_api: httpx.Client) -> None:
    fleet_api.put("/window/nights", json=ALWAYS)
    policy = {"max_unavailable": 2, "window": "nights", "gate": "alerts"}
    assert fleet_api.put("/cluster/web/policy", json=policy).json() == policy
    assert fleet_api.get("/cluster/web/policy").json() == policy
    assert fleet_api.delete("/window/nights").status_code == 409
    less = fleet_api.put("/cluster/web/policy", json={"max_unavailable": 2})
    assert less.json() == policy | {"window": None, "gate": None}
    assert fleet_api.delete("/window/nights").status_code == 200


@pytest.mark.parametrize(
    ("policy", "status", "wrong"),
    [({"window": "days"}, 409, "window"), ({"gate": "unheard-of"}, 400, "gate")],
)
def test_what_is_not_there_is_refused_and_changes_nothing(
    fleet_api: httpx.Client, policy: dict[str, Any], status: int, wrong: str
) -> None:
    answer = fleet_api.put("/cluster/web/policy", json=policy)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["key"] == wrong
    assert fleet_api.get("/cluster/web/policy").json()[wrong] is None


def test_no_lock_is_given_outside_the_window_or_while_the_gate_says_no(
    service: WebService, fleet_api: httpx.Client
) -> None:
    fleet_api.put("/window/nights", json=NEVER)
    policy = {"window": "nights", "gate": "alerts"}
    assert fleet_api.put("/cluster/web/policy", json=policy).status_code == 201
    client = clients(service)[0]
    closed = client.ask("pre-reboot")
    assert (closed.status_code, closed.json()["kind"]) == (409, "conflict")
    assert "Window nights of cluster web is closed" in closed.json()["value"]
    fleet_api.put("/window/nights", json=ALWAYS)
    service.gates["alerts"] = "alerts fire: Down"
    vetoed = client.ask("pre-reboot")
    assert vetoed.status_code == 409
    assert "Gate alerts says no: alerts fire: Down" in vetoed.json()["value"]
    assert fleet_api.get("/cluster/web/locks").json() == []
    service.gates["alerts"] = ""
    assert client.pre_reboot()
    service.gates["alerts"] = "alerts fire: Down"
    assert client.pre_reboot(), "it has its lock already"
    assert client.steady_state()


def test_a_yes_that_was_held_up_gives_no_lock_and_the_client_asks_again(
    service: WebService, fleet_api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fleet_api.put("/cluster/web/policy", json={"gate": "alerts"}).status_code == 201
    client = clients(service)[0]
    monkeypatch.setattr(holds, "VERDICT_S", -1.0)
    held_up = client.ask("pre-reboot")
    assert held_up.status_code == 409
    assert held_up.json()["value"] == "Gate alerts is to be asked: try again later."
    assert fleet_api.get("/cluster/web/locks").json() == []
    monkeypatch.undo()
    assert client.pre_reboot()


def test_what_a_stranger_says_in_a_note_is_not_in_the_log(
    service: WebService, fleet_api: httpx.Client
) -> None:
    client = clients(service)[0]
    for note in (b"approved by ada", b"\xff", b"x" * 201):
        answer = httpx.post(
            f"{service.url}/v1/pre-reboot",
            json={"client_params": {"id": client.id, "group": "web"}},
            headers={b"fleet-lock-protocol": b"true", b"commissaire-note": note},
        )
        assert (answer.status_code, answer.json()) == (200, {})
    (lock,) = [r.event for r in service.events if r.event.TOPIC == "cluster.lock_taken"]
    assert (lock.actor, lock.note) == (f"fleetlock:{client.id}", "")
