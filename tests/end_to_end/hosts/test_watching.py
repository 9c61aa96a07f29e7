"""Hosts that are set up are checked over SSH for ever: their statuses stay true."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

WATCHFUL = ("--check-interval", "0.3", "--check-failures", "2", "--ssh-connect-timeout-s", "1")


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service that checks its hosts often, on each engine."""
    with Service(tmp_path / "service", database_url, *QUICK, *WATCHFUL) as running:
        yield running


def changes(service: Service, begin: int) -> list[str]:
    """The lines that the log says of events since then."""
    lines = service.read_log(begin).splitlines()
    return [line for line in lines if '"change"' in line]


def test_a_host_that_freezes_fails_and_is_active_again_once_it_answers(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    service.client.put("/cluster/web").raise_for_status()
    service.register(host, cluster="web").raise_for_status()
    service.wait_for_status(host.address, "active")
    host.freeze()
    service.wait_for_status(host.address, "failed")
    assert service.client.get("/cluster/web").json()["status"] == "failed"
    host.thaw()
    service.wait_for_status(host.address, "active")
    assert service.client.get("/cluster/web").json()["status"] == "ok"


def test_a_host_that_goes_on_answering_makes_no_event_but_its_last_check_moves(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    service.register(host).raise_for_status()
    service.wait_for_status(host.address, "disassociated")
    path = f"/host/{host.address}"
    first = service.client.get(path)
    begin = len(service.read_log())

    def checked_later() -> bool:
        return bool(service.client.get(path).json()["last_check"] > first.json()["last_check"])

    wait_for(checked_later)
    assert service.client.get(path).headers["etag"] == first.headers["etag"]
    assert changes(service, begin) == []


def test_a_host_that_got_more_memory_and_was_booted_says_so_by_itself(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("ubuntu", user="ops")
    service.register(host).raise_for_status()
    service.wait_for_status(host.address, "disassociated")
    host.memory(123_456_789)

    def memory() -> bool:
        return bool(service.client.get(f"/host/{host.address}").json()["memory"] == 123_456_789)

    wait_for(memory)
    assert service.status(host.address) == "disassociated"


def test_the_checks_go_on_after_the_service_was_killed(service: Service, fleet: Fleet) -> None:
    host = fleet.add("debian")
    service.register(host).raise_for_status()
    service.wait_for_status(host.address, "disassociated")
    service.kill()
    host.stop()
    service.start()
    service.wait_for_status(host.address, "failed")
    host.start()
    service.wait_for_status(host.address, "disassociated")


def test_a_host_that_an_operation_reboots_is_not_called_failed_for_being_away(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    host.reboots("new", downtime_s=3)  # many intervals
    begin = len(service.read_log())
    rolled.begin("restart")
    assert rolled.over()["status"] == "finished"
    topics = [line for line in changes(service, begin) if '"host.failed"' in line]
    assert topics == []
