"""A look on request, at real hosts: whatever the pause, and whoever of the runners has the host."""

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
