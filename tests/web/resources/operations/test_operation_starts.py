"""`POST /operations`: any kind, on all members or some, once for each key, and as planned."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.event import Act
from domain.log.recorder import now
from domain.log.unit import Unit
from projections.beside_the_log import idempotency_keys
from tests.web.resources.operations.test_operations import (
    ADDRESSES,
    TIME,
    advance,
    cluster_of,
    done,
    failed,
)
from tests.web.service import WebService, serving

UPGRADE = {"kind": "upgrade", "cluster": "web"}


@pytest.fixture
def fleet_api(service: WebService, api: httpx.Client, key: str) -> httpx.Client:
    """A client of a service whose cluster `web` has three active hosts."""
    cluster_of(service, api, key, *ADDRESSES)
    return api


def post(api: httpx.Client, key: str | None = None, **body: Any) -> httpx.Response:
    """Begin an operation, perhaps with an `Idempotency-Key`."""
    headers = {"idempotency-key": key} if key else {}
    return api.post("/operations", json=UPGRADE | body, headers=headers)


def cancel(api: httpx.Client, name: str) -> None:
    """End an operation that has come to no host."""
    path = f"/operation/{name}/state"
    assert api.put(path, json={"state": "cancelled"}).json()["status"] == "cancelled"


def addresses(record: dict[str, Any]) -> list[str]:
    """The hosts of an operation."""
    return [host["address"] for host in record["hosts"]]


@pytest.mark.parametrize(
    "hosts", [{}, {"label": ""}, {"label": []}, {"label": [""]}, {"label": None}, {"q": ""}]
)
def test_filters_that_say_nothing_do_not_take_everybody(
    service: WebService, fleet_api: httpx.Client, hosts: dict[str, object]
) -> None:
    before = len(service.events)
    for dry_run in (False, True):
        answer = post(fleet_api, hosts=hosts, dry_run=dry_run)
        assert answer.status_code == 400, hosts
    assert len(service.events) == before


def test_an_operation_is_begun_on_all_members_and_shown_as_it_is_read(
    service: WebService, fleet_api: httpx.Client
) -> None:
    options = {"max_parallel": "50%", "reboot": "if_needed"}
    answer = fleet_api.post(
        "/operations", json=UPGRADE | options, headers={"commissaire-note": "CVE-2026-1"}
    )
    assert answer.status_code == 201, answer.text
    record = answer.json()
    assert answer.headers["location"] == f"/api/v0/operation/{record['id']}"
    assert fleet_api.get(f"/operation/{record['id']}").json() == record
    assert addresses(record) == ADDRESSES
    assert (record["targets"], record["note"], record["actor"]) == (None, "CVE-2026-1", "admin")
    assert record["options"]["max_parallel"] == "50%"
    assert TIME.fullmatch(record["started_at"])
    assert post(fleet_api, **options).json()["id"] == record["id"], "the very same in process"
    assert fleet_api.put("/cluster/web/upgrade", json=options).status_code == 201
    assert post(fleet_api, hosts=[ADDRESSES[0]], **options).status_code == 409


def test_members_that_are_not_named_are_neither_taken_nor_skipped(
    service: WebService, fleet_api: httpx.Client
) -> None:
    service.fail(ADDRESSES[2], "It is off.")
    named = [ADDRESSES[2], ADDRESSES[1], ADDRESSES[1]]
    record = post(fleet_api, hosts=named, max_unavailable="67%").json()
    assert addresses(record) == ADDRESSES[1:], "in order of joining"
    assert [host["outcome"] for host in record["hosts"]] == ["waiting", "skipped"]
    assert record["targets"] == {"hosts": 2}
    begun = next(r.event for r in service.events if r.event.TOPIC == "operation.started")
    assert begun.targets == ADDRESSES[1:]  # type: ignore[attr-defined] # of a started operation
    assert begun.members == 3  # type: ignore[attr-defined]
    name = record["id"]
    advance(service, name)  # two of three members may be unavailable, and one is
    assert fleet_api.get(f"/operation/{name}").json()["counts"]["in_process"] == 1
    failed(service, name, ADDRESSES[1], "It broke.")
    again = fleet_api.put(f"/operation/{name}/retry").json()
    assert (addresses(again), again["targets"]) == (ADDRESSES[1:], {"hosts": 2})
    assert post(fleet_api, hosts=["10.0.0.9"]).status_code == 409
    cancel(fleet_api, again["id"])
    stranger = post(fleet_api, hosts=[ADDRESSES[0], "10.0.0.9"])
    assert stranger.status_code == 409
    assert "10.0.0.9 is no member" in stranger.json()["detail"]


def test_members_are_asked_for_by_the_filters_of_the_fleet(
    service: WebService, fleet_api: httpx.Client, key: str
) -> None:
    fleet_api.put("/host/10.0.0.9", json={"ssh_priv_key": key})
    for address in (ADDRESSES[1], "10.0.0.9"):
        fleet_api.put(f"/host/{address}/labels", json={"role": "db"})
    record = post(fleet_api, hosts={"label": "role=db"}).json()
    assert addresses(record) == [ADDRESSES[1]], "of the members only"
    assert record["targets"] == {"cluster": "web", "label": ["role=db"]}
    assert (
        post(fleet_api, hosts={"label": ["role=db"], "cluster": "web"}).json()["id"]
        == (record["id"])
    )
    cancel(fleet_api, record["id"])
    for hosts in ({"reboot_needed": True}, {"q": "10.0.0.9"}):
        refused = post(fleet_api, hosts=hosts)
        assert refused.status_code == 409
        assert "No member of cluster web" in refused.json()["detail"]
    assert addresses(post(fleet_api, hosts={"reboot_needed": "unknown"}).json()) == ADDRESSES


@pytest.mark.parametrize(
    ("body", "key", "said"),
    [
        ({"kind": "run"}, "script", "missing"),
        ({"kind": "x"}, "kind", ""),
        ({"kind": None}, "kind", "required"),
        ({"cluster": ""}, "cluster", "required"),
        ({"kind": "deploy"}, "version", "missing"),
        ({"version": "27"}, "version", "of a deploy"),
        ({"kind": "restart", "reboot": "always"}, "reboot", ""),
        ({"hosts": []}, "hosts", "addresses, one at least, or an object of filters"),
        ({"hosts": "10.0.0.7"}, "hosts", "must be a list of addresses"),
        ({"hosts": ["a b"]}, "hosts", ""),
        ({"hosts": {"labl": "role=db"}}, "hosts", "did you mean label?"),
        ({"hosts": {"label": "=db"}}, "label", ""),
        ({"hosts": {"cluster": "db"}}, "hosts", "another one"),
        ({"dry_rum": True}, "dry_rum", "did you mean dry_run?"),
        ({"plan": "x y"}, "plan", ""),
        ({"max_parallel": 0}, "max_parallel", ""),
    ],
)
def test_a_wrong_body_begins_nothing(
    front: WebService, client: httpx.Client, body: dict[str, Any], key: str, said: str
) -> None:
    client.put("/cluster/web")
    answer = client.post("/operations", json=UPGRADE | body)
    assert answer.status_code == 400, answer.text
    assert {fault["key"] for fault in answer.json()["errors"]} == {key}
    assert said in answer.text
    assert "operation.started" not in front.topics()


def test_a_cluster_that_is_not_there_is_404_and_a_viewer_begins_nothing(
    front: WebService, client: httpx.Client
) -> None:
    assert post(client, cluster="none").status_code == 404
    with front.client("viewer") as viewer:
        assert post(viewer).status_code == 403


def test_a_key_begins_one_operation_in_whatever_process_and_over_restarts(
    database_url: str, tmp_path: Path, key: str
) -> None:
    with serving(tmp_path, database_url) as first, first.client() as api:
        cluster_of(first, api, key, *ADDRESSES)
        begun = post(api, "key-1", hosts=ADDRESSES[:1])
        name = begun.json()["id"]
        assert post(api, "key-1", hosts=ADDRESSES[:1]).json()["id"] == name
        advance(first, name)
        done(first, name, ADDRESSES[0], "upgrade", {})
        assert post(api, "key-2", hosts=ADDRESSES[:1]).json()["id"] != name
    with serving(tmp_path, database_url) as second, second.client() as api:
        again = post(api, "key-1", hosts=ADDRESSES[:1])
        assert (again.status_code, again.json()["id"]) == (201, name)
        assert again.headers["location"] == begun.headers["location"]
        assert again.json()["status"] == "finished", "as it is now"
        other = post(api, "key-1", hosts=ADDRESSES[:2])
        assert other.status_code == 409
        assert name in other.json()["detail"]
        with second.client("operator") as operator:
            assert post(operator, "key-1").status_code == 409, (
                "their own key, and one is in process"
            )
        assert post(api, "x" * 256).status_code == 400
        assert api.get("/operations?limit=1").headers["link"]


def test_two_processes_that_are_sent_a_key_at_once_begin_one_operation(
    postgres_url: str, tmp_path: Path, key: str
) -> None:
    with (
        serving(tmp_path, postgres_url) as first,
        serving(tmp_path, postgres_url) as second,
        first.client() as one,
        second.client() as two,
        ThreadPoolExecutor(8) as pool,
    ):
        cluster_of(first, one, key, *ADDRESSES)
        sent = [pool.submit(post, api, "key", hosts=ADDRESSES[:1]) for api in (one, two) * 4]
        answers = [answer.result() for answer in sent]
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len(one.get("/operations").json()) == 1


def test_a_key_of_a_request_that_was_refused_or_planned_is_free_and_ends_after_a_day(
    service: WebService, fleet_api: httpx.Client
) -> None:
    running = post(fleet_api, hosts=ADDRESSES[:1]).json()["id"]
    assert post(fleet_api, "key").status_code == 409
    assert post(fleet_api, "key", dry_run=True).status_code == 200
    cancel(fleet_api, running)
    begun = post(fleet_api, "key").json()["id"]
    cancel(fleet_api, begun)
    assert post(fleet_api, "key").json()["id"] == begun

    def a_day_later(unit: Unit) -> list[tuple[str]]:
        unit.tx.execute("UPDATE idempotency_keys SET at = '2015-12-17T15:48:18.710454'", ())
        unit.write_beside(lambda tx: None)
        return []

    service.perform(a_day_later)
    assert post(fleet_api, "key").json()["id"] != begun
    with service.engine.snapshot() as tx:
        kept = tx.execute("SELECT count(*) FROM idempotency_keys", ()).fetchone()
    assert kept[0] == 1, "what is older is forgotten"


def test_a_key_that_two_send_at_once_begins_one(service: WebService) -> None:
    """Two commands that share a commit: the second sees what the first has kept."""
    begun = idempotency_keys.Begun("0193-7", "request")

    def command(unit: Unit) -> str | None:
        known = idempotency_keys.begun(unit.tx, "key", "2000")
        unit.write_beside(lambda tx: idempotency_keys.keep(tx, "key", begun, now(), "2000"))
        return known.operation if known else None

    act = Act("alice", "request", now())
    found = [service.writer.submit(act, command) for _ in range(3)]
    assert [one.result(20) for one in found] == [None, "0193-7", "0193-7"]


def test_a_start_with_a_plan_is_refused_where_it_would_be_another_one(
    service: WebService, fleet_api: httpx.Client
) -> None:
    service.fail(ADDRESSES[2], "It is off.")
    before = len(service.events)
    planned = post(fleet_api, dry_run=True, max_parallel="100%")
    assert planned.status_code == 200
    plan = planned.json()
    assert (plan["hosts"], plan["max_parallel"]) == (ADDRESSES[:2], 2)
    assert plan["skipped"] == [{"address": ADDRESSES[2], "reason": "It is failed: It is off."}]
    assert len(service.events) == before
    v0 = fleet_api.put("/cluster/web/upgrade", json={"dry_run": True, "max_parallel": "100%"})
    assert v0.json() == {key: value for key, value in plan.items() if key != "plan"}
    service.fail(ADDRESSES[2], "It is still off.")
    assert post(fleet_api, dry_run=True, max_parallel="100%").json()["plan"] == plan["plan"]
    service.fail(ADDRESSES[1], "It is off too.")
    refused = post(fleet_api, max_parallel="100%", plan=plan["plan"])
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["key"] == "plan"
    for other in ({"max_parallel": 1}, {"max_parallel": "100%", "hosts": ADDRESSES[:1]}):
        assert post(fleet_api, plan=plan["plan"], **other).status_code == 409
    now_planned = post(fleet_api, dry_run=True, max_parallel="100%").json()["plan"]
    begun = post(fleet_api, max_parallel="100%", plan=now_planned)
    assert begun.status_code == 201
    assert post(fleet_api, max_parallel="100%", plan=now_planned).json() == begun.json()
