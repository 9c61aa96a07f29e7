"""Updates that wait on real hosts: told when somebody asks, an event only where it is news."""

from pathlib import Path
from typing import Any

from tests.fleet import Fleet
from tests.support.real_apt import AWAY, RealApt
from tests.support.service import Service, wait_for


def test_a_host_tells_of_updates_when_somebody_asks_and_again_only_what_is_news(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    apt = RealApt(host, tmp_path)
    apt.has("tool", "1")
    apt.publish("tool", "2")
    with Service(tmp_path / "service", database_url) as service:

        def updates() -> Any:
            (record,) = service.client.get("/fleet/hosts").json()
            return record["updates"]

        def told_after(before: str, every: int) -> Any:
            """Ask, as often as one may, until the host has told anew."""
            service.client.post(f"/host/{host.address}/check", json={"updates": True})
            found = updates()
            return found if found and found["at"] > before and found["all"] == every else None

        def events() -> list[dict[str, int]]:
            found = service.client.get("/events?type=host.updates_found").json()
            return [event["data"] for event in found]

        service.register(host)
        service.wait_for_status(host.address, "disassociated", timeout_s=30)
        service.client.post("/fleet/check", json={"status": "disassociated"})
        assert updates() is None, "nobody has asked for them"
        first = wait_for(lambda: told_after("", 1), 60)
        assert first == {"all": 1, "security": 0, "at": first["at"]}
        second = wait_for(lambda: told_after(str(first["at"]), 1), 60)
        assert events() == [{"all": 1, "security": 0}], "the same again is no news"
        apt.publish("tool", "3")
        apt.has("more", "1")
        apt.publish("more", "2")
        wait_for(lambda: told_after(str(second["at"]), 2), 60)
        assert events() == [{"all": 1, "security": 0}, {"all": 2, "security": 0}]
        assert apt.installed() == {"tool": "1", "more": "1"}
        then = service.client.get(f"/fleet/hosts?at={second['at']}").json()
        assert then[0]["updates"]["all"] == 1


def test_a_host_that_cannot_tell_says_so_in_its_record_until_it_can(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    apt = RealApt(host, tmp_path)
    apt.has("tool", "1")
    apt.publish("tool", "2")
    apt.sources(AWAY)
    with Service(tmp_path / "service", database_url) as service:

        def record() -> Any:
            (found,) = service.client.get("/fleet/hosts").json()
            return found

        def asked_until(key: str) -> Any:
            """Ask, as often as one may, until the record has this."""
            service.client.post(f"/host/{host.address}/check", json={"updates": True})
            return record()[key]

        service.register(host)
        service.wait_for_status(host.address, "disassociated", timeout_s=30)
        assert record()["updates_failed"] is None
        failed = wait_for(lambda: asked_until("updates_failed"), 60)
        assert failed["kind"] == "command"
        assert failed["reason"].startswith("“apt-get update” ended with exit status 100")
        assert failed["at"] > record()["since"]
        assert record()["status"] == "disassociated", "it has not failed: only the question has"
        assert service.client.get("/events?type=host.updates_found").json() == []
        apt.sources()
        found = wait_for(lambda: asked_until("updates"), 60)
        assert found["all"] == 1
        assert record()["updates_failed"] is None
