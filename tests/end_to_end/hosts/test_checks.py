"""A look on request, at real hosts: whatever the pause, and whoever of the runners has the host."""

from functools import partial
from pathlib import Path

from tests.fleet import Fleet
from tests.support.service import Service, wait_for

PAUSED = ("--retry-pause-s", "600", "--retry-pause-max-s", "600", "--check-interval", "600")
"""Nobody would look again within a test."""


def test_a_failed_host_that_was_mended_is_back_as_soon_as_somebody_asks(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    host.stop()
    with Service(
        tmp_path / "service", database_url, *PAUSED, "--ssh-connect-timeout-s", "3"
    ) as service:
        service.register(host)
        service.wait_for_status(host.address, "failed", timeout_s=60)
        (record,) = service.client.get("/fleet/hosts?status=failed").json()
        assert (record["kind"], record["cluster"]) == ("unreachable", None)
        assert host.address in service.client.get("/fleet").json()["failed"][0]["hosts"]
        host.start()
        asked = service.client.post(f"/host/{host.address}/check", json={})
        assert asked.status_code == 202
        service.wait_for_status(host.address, "disassociated", timeout_s=30)
        (record,) = service.client.get("/fleet/hosts").json()
        assert (record["kind"], record["reason"]) == (None, None)
        assert record["kernel"]
        assert record["booted_at"].startswith("20")


def test_a_member_that_was_mended_is_not_skipped(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    hosts = [fleet.add("debian"), fleet.add("debian")]
    with Service(
        tmp_path / "service", database_url, *PAUSED, "--ssh-connect-timeout-s", "3"
    ) as service:
        service.client.put("/cluster/web")
        for host in hosts:
            service.register(host, cluster="web")
            service.wait_for_status(host.address, "active", timeout_s=30)
        for host in hosts:
            host.stop()
            service.client.post(f"/host/{host.address}/check", json={})
        for host in hosts:
            wait_for(partial(fails_when_asked, service, host.address), timeout_s=60)
        wait_for(partial(tells_its_next_check, service))
        hosts[0].start()
        begun = service.client.put("/cluster/web/upgrade", json={"max_failures": 2})
        assert begun.status_code == 201, begun.text
        record = service.client.get(begun.headers["location"].removeprefix("/api/v0")).json()
        assert {one["address"]: one["outcome"] == "skipped" for one in record["hosts"]} == {
            hosts[0].address: False,
            hosts[1].address: True,
        }
        path = f"/operation/{record['id']}"
        wait_for(lambda: service.client.get(path).json()["status"] == "partial", 60)
        hosts[1].start()
        again = service.client.put(f"{path}/retry").json()
        assert [one["outcome"] for one in again["hosts"]] == ["waiting"]


def tells_its_next_check(service: Service) -> bool:
    """Whether each failed host says when it is looked at next."""
    found = service.client.get("/fleet/hosts?status=failed").json()
    return all((record["next_check"] or "") > record["since"] for record in found)


def fails_when_asked(service: Service, address: str) -> bool:
    """Have it looked at, until it has missed enough checks."""
    service.client.post(f"/host/{address}/check", json={})
    return str(service.client.get(f"/host/{address}").json()["status"]) == "failed"


def test_a_host_that_is_set_up_is_checked_when_somebody_asks(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    with Service(tmp_path / "service", database_url, *PAUSED) as service:
        service.register(host)
        service.wait_for_status(host.address, "disassociated", timeout_s=30)
        (before,) = service.client.get("/fleet/hosts").json()
        assert before["reboot_needed"] is not True
        host.path("/run/reboot-required").touch()
        asked = service.client.post("/fleet/check", json={"status": "disassociated"})
        assert asked.json()["hosts"] == [host.address]
        wait_for(lambda: service.client.get("/fleet/hosts?reboot_needed=true").json(), 30)
