"""What proves an outcome, step by step: on a page, as JSON, and held against the log."""

from functools import partial
from hashlib import sha256

from domain.aggregates.operation_events import Evidence
from domain.commands import operation_commands
from domain.log.transaction import Transaction
from domain.log.unit import Unit
from projections.beside_the_log import outputs
from tests.web.console import fleet
from tests.web.console.browser import Browser, Page
from tests.web.service import WebService

AT = "2026-01-02T03:04:05.000006"
SAID = b"Complete! <script>alert(1)</script>\n"
BOOTS: Evidence = {"boot_id_before": "b-1", "boot_id_after": "b-2"}
LOGGED: Evidence = {
    "output_sha256": sha256(SAID).hexdigest(),
    "output_bytes": len(SAID),
    "exit_status": 0,
}


def upgraded(service: WebService) -> tuple[str, str]:
    """An upgrade of a host of cache, with its reboot; gives the operation and the address."""
    with service.client() as api:
        hosts = api.get("/fleet/hosts?cluster=cache&status=active").json()
        address = str(hosts[0]["address"])
        note = {"commissaire-note": "TICKET-3 <b>"}
        body = {"kind": "upgrade", "cluster": "cache", "hosts": [address], "reboot": "always"}
        begun = api.post("/operations", json=body, headers=note)
        assert begun.status_code == 201, begun.text
        name = begun.headers["location"].rpartition("/")[2]
    commands = operation_commands
    for command in (
        lambda unit: commands.advance(unit, name),
        lambda unit: commands.send_step(unit, name, address, "upgrade"),
        lambda unit: unit.write_beside(lambda tx: outputs.add(tx, name, address, 0, SAID, AT)),
        lambda unit: commands.finish_step(unit, name, address, "upgrade", LOGGED, reboot=True),
        lambda unit: commands.request_reboot(unit, name, address, "b-1"),
        lambda unit: commands.finish_step(unit, name, address, "reboot", BOOTS),
        partial(_heal, name=name, address=address),
        lambda unit: commands.advance(unit, name),
    ):
        service.perform(command)
    return name, address


def _heal(unit: Unit, name: str, address: str) -> None:
    if unit.operation(name).hosts[address].step == "health":
        operation_commands.finish_step(unit, name, address, "health", {})


def test_each_step_has_its_evidence_its_events_and_who_asked(
    admin: Browser, seeded: WebService
) -> None:
    name, address = upgraded(seeded)
    path = f"/operation/{name}/hosts/{address}"
    page = admin.see(f"{path}/output")
    assert "admin asked for it" in page.text
    assert "TICKET-3 <b>" in page.text
    assert "The output has the SHA-256 that is in the log." in page.text
    assert "boot id after b-2" in page.text
    told = admin.client.get(
        next(link for link in page.links if link.endswith("evidence.json"))
    ).json()
    assert [step["step"] for step in told["steps"]][:2] == ["upgrade", "reboot"]
    upgrade, reboot = told["steps"][:2]
    assert upgrade["evidence"] == LOGGED
    assert reboot["evidence"] == BOOTS
    assert (
        upgrade["begun"] <= upgrade["sent"] <= upgrade["ended"] == reboot["begun"] <= reboot["sent"]
    )
    assert told["output"]["is_as_logged"] is True
    assert told["asked"]["by"] == "admin"
    assert f"/history/{told['asked']['event']}" in page.links
    for event in (event for step in told["steps"] for event in step["events"]):
        assert f"/history/{event['id']}" in page.links
        assert event["type"] in admin.see(f"/history/{event['id']}").text
    assert f"{path}/output#evidence" in admin.see(f"/operation/{name}").links
    assert f"{path}/output" in admin.see(f"/host/{address}").links
    assert admin.client.get(f"/operation/{name}/hosts/10.9.9.9/evidence.json").status_code == 404
    _is_altered(admin, seeded, name, address)


def _is_altered(admin: Browser, service: WebService, name: str, address: str) -> None:
    """An output that is altered, or deleted after a while, is told."""
    path = f"/operation/{name}/hosts/{address}/output"
    service.perform(lambda unit: unit.write_beside(_alter))
    assert "does not have the SHA-256 that is in the log" in admin.see(path).text
    service.perform(lambda unit: unit.write_beside(lambda tx: outputs.purge(tx, "2027")))
    assert "The output is not kept any more" in admin.see(path).text


def _alter(tx: Transaction) -> None:
    tx.execute("UPDATE outputs SET content = ?", (b"Complete!",))


def test_a_host_has_the_fingerprint_that_it_is_logged_in_to_with(viewer: Browser) -> None:
    page = viewer.see(f"/host/{fleet.address(2)}")
    assert "Logged in to with SHA256:" + "k" * 43 in page.text


def test_what_is_left_is_retried_by_a_form(admin: Browser, seeded: WebService) -> None:
    name = fleet.upgrade(seeded, "db", done=1, broken=2)
    with seeded.client() as api:
        api.put(f"/operation/{name}/state", json={"state": "cancelled"}).raise_for_status()
        for _ in range(api.get(f"/operation/{name}").json()["counts"]["in_process"]):
            fleet.turn(seeded, name)
    for address in _failed(seeded):
        seeded.settle(address)
    path = f"/operation/{name}"
    fields = admin.see(path).fields(f"{path}/state") | {"note": "TICKET-4"}
    begun = admin.post(f"{path}/retry", fields)
    assert begun.status_code == 303, Page(begun.text).text
    page = admin.see(begun.headers["location"])
    assert f"a retry of {name}" in page.text
    assert "TICKET-4" in page.text
    again = begun.headers["location"]
    assert admin.post(f"{path}/retry", fields).headers["location"] == again  # sent twice
    admin.send(again, f"{again}/state", {"state": "cancelled"})


def _failed(service: WebService) -> list[str]:
    with service.client() as api:
        return [h["address"] for h in api.get("/fleet/hosts?cluster=db&status=failed").json()]
