"""Operations over HTTP: begun, shown as v0 and in full, planned, steered and retried."""

import re
from typing import Any

import httpx
import pytest

from domain.aggregates.operation_events import Evidence, Step
from domain.commands import operation_commands
from projections.beside_the_log import outputs
from tests.web.service import WebService

ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def cluster_of(service: WebService, api: httpx.Client, key: str, *addresses: str) -> None:
    """A cluster `web` of active hosts."""
    assert api.put("/cluster/web").status_code == 201
    for address in addresses:
        body = {"ssh_priv_key": key, "cluster": "web"}
        assert api.put(f"/host/{address}", json=body).status_code == 201
        service.settle(address)


@pytest.fixture
def fleet_api(service: WebService, api: httpx.Client, key: str) -> httpx.Client:
    """A client of a service whose cluster `web` has three active hosts."""
    cluster_of(service, api, key, *ADDRESSES)
    return api


def begun(api: httpx.Client, kind: str = "upgrade", **body: Any) -> str:
    """The id of an operation that was just begun."""
    answer = api.put(f"/cluster/web/{kind}", json=body)
    assert answer.status_code == 201, answer.text
    path = answer.headers["location"]
    assert path.startswith("/api/v0/operation/")
    return str(path.removeprefix("/api/v0/operation/"))


def advance(service: WebService, name: str) -> None:
    """As the runner does."""
    service.perform(lambda unit: operation_commands.advance(unit, name))


def done(service: WebService, name: str, address: str, step: Step, evidence: Evidence) -> None:
    """The step of a host went well."""
    service.perform(
        lambda unit: operation_commands.finish_step(unit, name, address, step, evidence)
    )


def failed(service: WebService, name: str, address: str, reason: str) -> None:
    """The upgrade of a host went wrong."""
    service.perform(
        lambda unit: operation_commands.fail_host(unit, name, address, "upgrade", reason, {})
    )


def test_v0_shows_an_upgrade_with_exactly_its_keys_from_begin_to_end(
    service: WebService, fleet_api: httpx.Client
) -> None:
    assert fleet_api.get("/cluster/web/upgrade").status_code == 404
    first = fleet_api.put("/cluster/web/upgrade")
    assert first.status_code == 201
    record = first.json()
    assert list(record) == [
        *("name", "status", "upgraded", "in_process", "started_at", "finished_at"),
    ]
    assert TIME.fullmatch(record.pop("started_at"))
    assert record == {
        "name": "web",
        "status": "in_process",
        "upgraded": [],
        "in_process": [],
        "finished_at": None,
    }
    name = first.headers["location"].rpartition("/")[2]
    assert ID.fullmatch(name)
    advance(service, name)
    listed = fleet_api.get("/hosts").json()
    assert fleet_api.get("/cluster/web/upgrade").json()["in_process"] == listed[:1]
    for address in ADDRESSES:
        done(service, name, address, "upgrade", {"exit_status": 0})
    record = fleet_api.get("/cluster/web/upgrade").json()
    assert (record["status"], record["upgraded"], record["in_process"]) == ("finished", listed, [])
    assert TIME.fullmatch(record["finished_at"])
    assert fleet_api.get("/cluster/web/restart").status_code == 404


def test_deploy_and_restart_name_their_hosts_by_their_own_verbs(
    service: WebService, fleet_api: httpx.Client
) -> None:
    name = begun(fleet_api, "deploy", version="27.93")
    assert list(fleet_api.get("/cluster/web/deploy").json()) == [
        *("name", "status", "version", "deployed", "in_process", "started_at", "finished_at")
    ]
    assert fleet_api.put(f"/operation/{name}/state", json={"state": "cancelled"}).json()[
        "status"
    ] == ("cancelled")
    assert fleet_api.get("/cluster/web/deploy").json()["status"] == "failed"
    begun(fleet_api, "restart")
    assert list(fleet_api.get("/cluster/web/restart").json()) == [
        *("name", "status", "restarted", "in_process", "started_at", "finished_at")
    ]


def test_one_operation_shows_its_options_who_asked_and_each_host(
    service: WebService, fleet_api: httpx.Client
) -> None:
    service.fail(ADDRESSES[2], "It is off.")
    with service.client("operator") as operator:
        name = begun(operator, max_parallel="50%", max_failures=1)
    advance(service, name)
    done(service, name, ADDRESSES[0], "upgrade", {"exit_status": 0, "output_sha256": "ab"})
    failed(service, name, ADDRESSES[1], "It broke.")
    whole = fleet_api.get(f"/operation/{name}").json()
    hosts = whole.pop("hosts")
    assert [(h["address"], h["outcome"], h["attempts"], h["reason"]) for h in hosts] == [
        (ADDRESSES[0], "done", 1, ""),
        (ADDRESSES[1], "failed", 1, "It broke."),
        (ADDRESSES[2], "skipped", 0, "It is failed: It is off."),
    ]
    assert hosts[0]["evidence"] == {"exit_status": 0, "output_sha256": "ab"}
    assert hosts[0]["step"] == "upgrade"
    assert hosts[2]["step"] is None
    assert TIME.fullmatch(hosts[1]["finished_at"])
    assert (whole["status"], whole["actor"], whole["kind"]) == ("partial", "operator", "upgrade")
    assert whole["options"]["max_parallel"] == "50%"
    assert whole["counts"] == {
        "waiting": 0,
        "in_process": 0,
        "done": 1,
        "failed": 1,
        "unknown": 0,
        "skipped": 1,
    }
    assert fleet_api.get("/operations").json() == [whole]
    assert fleet_api.get("/cluster/web/upgrade").json()["status"] == "failed"


def test_operations_are_listed_newest_first_and_filtered(fleet_api: httpx.Client) -> None:
    first = begun(fleet_api)
    fleet_api.put(f"/operation/{first}/state", json={"state": "cancelled"})
    second = begun(fleet_api, "restart")

    def listed(query: str) -> list[str]:
        return [record["id"] for record in fleet_api.get(f"/operations{query}").json()]

    assert listed("") == [second, first]
    assert listed("?kind=upgrade") == [first]
    assert listed("?cluster=web&status=in_process") == [second]
    assert fleet_api.put("/cluster/db").status_code == 201
    assert listed("?cluster=db") == []
    assert fleet_api.get("/operations?cluster=none").status_code == 404
    assert fleet_api.delete("/cluster/db").status_code == 200
    assert fleet_api.get("/operations?cluster=db").status_code == 404
    for query in (
        "?status=done",
        "?kind=x",
        "?kind=deploy&kind=deploy",
        "?cluster=",
        "?cluster=a/b",
    ):
        assert fleet_api.get(f"/operations{query}").status_code == 400


def test_the_very_same_request_is_the_operation_in_process_and_another_is_a_conflict(
    fleet_api: httpx.Client,
) -> None:
    name = begun(fleet_api)
    assert begun(fleet_api) == name
    assert begun(fleet_api, max_parallel=1, healthy_for_s=0) == name, "defaults say the same"
    for path, body in (("upgrade", {"max_parallel": 2}), ("restart", {})):
        answer = fleet_api.put(f"/cluster/web/{path}", json=body)
        assert answer.status_code == 409
        assert name in answer.json()["detail"]
    for refused in (
        fleet_api.delete("/cluster/web"),
        fleet_api.delete(f"/cluster/web/hosts/{ADDRESSES[0]}"),
        fleet_api.delete(f"/host/{ADDRESSES[1]}"),
    ):
        assert refused.status_code == 409


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("deploy", {}, "version"),
        ("deploy", {"version": ""}, "version"),
        ("deploy", {"version": 27}, "version"),
        ("deploy", {"version": "1; reboot"}, "version"),
        ("deploy", {"version": "--help"}, "version"),
        ("upgrade", {"max_parallel": 0}, "max_parallel"),
        ("upgrade", {"max_parallel": True}, "max_parallel"),
        ("upgrade", {"max_parallel": 1.5}, "max_parallel"),
        ("upgrade", {"max_failures": "200%"}, "max_failures"),
        ("upgrade", {"max_unavailable": []}, "max_unavailable"),
        ("upgrade", {"reboot": "sometimes"}, "reboot"),
        ("upgrade", {"healthy_for_s": "long"}, "healthy_for_s"),
        ("upgrade", {"step_timeout_s": 0}, "step_timeout_s"),
        ("upgrade", {"dry_run": 1}, "dry_run"),
        ("upgrade", {"drain": True}, "drain"),
        ("restart", {"reboot": "always"}, "reboot"),
    ],
)
def test_a_bad_option_is_400_and_named(
    client: httpx.Client, kind: str, body: dict[str, Any], key: str
) -> None:
    client.put("/cluster/options")
    answer = client.put(f"/cluster/options/{kind}", json=body)
    assert answer.status_code == 400
    assert {fault["key"] for fault in answer.json()["errors"]} == {key}


def test_a_dry_run_tells_what_would_be_done_and_touches_nothing(
    service: WebService, fleet_api: httpx.Client
) -> None:
    service.fail(ADDRESSES[0], "It is off.")
    before = len(service.events)
    body = {"dry_run": True, "version": "27.93", "max_parallel": "100%", "max_unavailable": "50%"}
    answer = fleet_api.put("/cluster/web/deploy", json=body)
    assert answer.status_code == 200
    plan = answer.json()
    assert plan["hosts"] == ADDRESSES[1:]
    assert plan["skipped"] == [{"address": ADDRESSES[0], "reason": "It is failed: It is off."}]
    assert (plan["max_parallel"], plan["max_failures"], plan["max_unavailable"]) == (2, 0, 1)
    assert len(service.events) == before
    assert fleet_api.get("/operations").json() == []


def test_an_operation_is_steered_until_it_is_over(
    service: WebService, fleet_api: httpx.Client
) -> None:
    name = begun(fleet_api)
    advance(service, name)
    path = f"/operation/{name}/state"
    for state in ("paused", "paused", "in_process", "paused"):
        answer = fleet_api.put(path, json={"state": state})
        assert (answer.status_code, answer.json()["status"]) == (201, state)
    assert fleet_api.get("/cluster/web/upgrade").json()["status"] == "in_process"
    cancelling = fleet_api.put(path, json={"state": "cancelled"}).json()
    assert (cancelling["status"], cancelling["cancelling"]) == ("in_process", True)
    assert fleet_api.put(path, json={"state": "paused"}).status_code == 409
    failed(service, name, ADDRESSES[0], "It was cancelled.")
    assert fleet_api.put(path, json={"state": "cancelled"}).json()["status"] == "cancelled"
    assert fleet_api.put(path, json={"state": "in_process"}).status_code == 409
    assert fleet_api.put(path, json={"state": "finished"}).status_code == 400
    assert fleet_api.put(path, json={}).status_code == 400


def test_a_retry_names_its_predecessor_and_takes_what_was_left(
    service: WebService, fleet_api: httpx.Client
) -> None:
    name = begun(fleet_api)
    advance(service, name)
    assert fleet_api.put(f"/operation/{name}/retry").status_code == 409
    done(service, name, ADDRESSES[0], "upgrade", {})
    failed(service, name, ADDRESSES[1], "It broke.")
    answer = fleet_api.put(f"/operation/{name}/retry")
    assert answer.status_code == 201
    again = answer.json()
    assert answer.headers["location"] == f"/api/v0/operation/{again['id']}"
    assert again["predecessor"] == name
    assert [host["address"] for host in again["hosts"]] == ADDRESSES[1:]
    assert fleet_api.put(f"/operation/{name}/retry").json()["id"] == again["id"]


@pytest.mark.parametrize("name", ["00000000-0000-7000-8000-000000000000", "x", "%00", "a%2Fb"])
def test_an_operation_that_is_not_there_is_404(client: httpx.Client, name: str) -> None:
    assert client.get(f"/operation/{name}").status_code == 404
    assert client.get(f"/operation/{name}/hosts/10.0.0.1/output").status_code == 404
    assert client.put(f"/operation/{name}/retry").status_code == 404
    assert client.put(f"/operation/{name}/state", json={"state": "paused"}).status_code == 404


def test_a_cluster_that_is_not_there_is_404_and_its_operations_go_with_it(
    service: WebService, fleet_api: httpx.Client
) -> None:
    assert fleet_api.put("/cluster/none/upgrade").status_code == 404
    assert fleet_api.get("/cluster/none/upgrade").status_code == 404
    name = begun(fleet_api)
    fleet_api.put(f"/operation/{name}/state", json={"state": "cancelled"})
    fleet_api.delete("/cluster/web")
    assert fleet_api.get("/cluster/web/upgrade").status_code == 404
    fleet_api.put("/cluster/web")
    assert fleet_api.get("/cluster/web/upgrade").status_code == 404
    assert fleet_api.get(f"/operation/{name}").status_code == 200


def test_the_output_of_a_host_is_text_and_there_while_it_grows(
    service: WebService, fleet_api: httpx.Client
) -> None:
    name = begun(fleet_api)
    path = f"/operation/{name}/hosts/{ADDRESSES[0]}/output"
    empty = fleet_api.get(path)
    assert (empty.status_code, empty.content) == (200, b"")
    assert empty.headers["content-type"] == "text/plain; charset=utf-8"
    at = "2026-01-02T03:04:05.000006"
    for place, piece in ((0, b"Upgrading:\n"), (11, b"kernel \xff\n"), (0, b"Upgrading:\n")):

        def keep(unit: Any, place: int = place, piece: bytes = piece) -> None:
            unit.write_beside(lambda tx: outputs.add(tx, name, ADDRESSES[0], place, piece, at))

        service.perform(keep)
    text = fleet_api.get(path)
    assert text.content == b"Upgrading:\nkernel \\xff\n"
    raw = fleet_api.get(path, params={"raw": ""})
    assert raw.content == b"Upgrading:\nkernel \xff\n"
    assert raw.headers["content-disposition"] == 'attachment; filename="output"'
    assert raw.headers["content-type"] == "text/plain; charset=utf-8"
    for answer in (text, raw):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert fleet_api.get(path, params={"raw": "yes"}).status_code == 400
    assert fleet_api.get(path, params={"rwa": ""}).status_code == 400
    assert fleet_api.get(f"/operation/{name}/hosts/10.0.0.9/output").status_code == 404
    service.perform(lambda unit: unit.write_beside(lambda tx: outputs.purge(tx, "2026-01-03")))
    assert fleet_api.get(path).content == b""


def test_the_tag_of_a_record_changes_with_the_operation_and_its_hosts(
    service: WebService, fleet_api: httpx.Client
) -> None:
    name, second = begun(fleet_api), ""
    for path in (f"/operation/{name}", "/cluster/web/upgrade"):
        first = fleet_api.get(path).headers["etag"]
        assert fleet_api.get(path, headers={"if-none-match": first}).status_code == 304
        advance(service, name)
        fleet_api.put(f"/operation/{name}/state", json={"state": "paused"})
        second = fleet_api.get(path).headers["etag"]
        assert second != first
        fleet_api.put(f"/operation/{name}/state", json={"state": "in_process"})
    service.settle(ADDRESSES[0], os="debian")
    record = fleet_api.get("/cluster/web/upgrade", headers={"if-none-match": second})
    assert record.json()["in_process"][0]["os"] == "debian"


@pytest.mark.parametrize("path", ["cluster/web/upgrade", "operation/x/state", "operation/x/retry"])
def test_viewers_look_and_do_nothing(front: Any, path: str) -> None:
    with front.client("viewer") as viewer:
        assert viewer.put(f"/{path}").status_code == 403
        assert viewer.get("/operations").status_code == 200
