"""Connections that a service keeps between its checks, as the hosts see them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.access.test_rotation import rotate
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.processes.several import figure
from tests.fleet import Fleet, Host
from tests.fleet.keys import new_key
from tests.support.service import Service, wait_for

WATCHFUL = ("--check-interval", "0.3", "--check-failures", "1", "--ssh-kept", "10")
LIMIT_S = 60
CHECKS = 5


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with Service(tmp_path / "service", database_url, *QUICK, *WATCHFUL) as running:
        yield running


def logins(host: Host) -> int:
    """As its sshd counts them."""
    return host.log.count("Accepted publickey")


def sessions(host: Host) -> int:
    """Processes of its sshd beside the one that listens."""
    return [process.name for process in host.processes()].count("sshd") - 1


def answered(service: Service) -> float:
    """Checks over a kept connection."""
    return figure(service, 'commissaire_ssh_kept_used_total{outcome="answered"}')


def watched(service: Service, host: Host) -> None:
    """It is set up, and was checked over one connection."""
    service.register(host).raise_for_status()
    service.wait_for_status(host.address, "disassociated")
    before = answered(service)
    wait_for(lambda: answered(service) >= before + CHECKS, LIMIT_S)


def test_checks_share_a_login_and_a_removed_host_has_no_connection(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    watched(service, host)
    assert logins(host) == 2, "the investigation, and the first check"
    service.client.delete(f"/host/{host.address}").raise_for_status()
    wait_for(lambda: figure(service, "commissaire_ssh_kept") == 0, LIMIT_S)
    wait_for(lambda: sessions(host) == 0, LIMIT_S)
    assert logins(host) == 2


def test_a_cut_is_no_missed_check_and_new_credentials_a_new_login(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    watched(service, host)
    assert host.drop_connections() > 0
    wait_for(lambda: logins(host) == 3, LIMIT_S)
    assert "host.failed" not in service.read_log()
    new = new_key()
    host.let_in(new.public)
    assert rotate(service, host, new).status_code == 201
    wait_for(lambda: logins(host) == 5, LIMIT_S)  # the trial, and the next check
    before = answered(service)
    wait_for(lambda: answered(service) > before, LIMIT_S)
    assert logins(host) == 5
    assert "host.failed" not in service.read_log()


def test_nothing_is_kept_after_a_stop(tmp_path: Path, fleet: Fleet) -> None:
    host = fleet.add("debian")
    with Service(tmp_path / "service", None, *QUICK, *WATCHFUL) as service:
        watched(service, host)
        assert sessions(host) > 0
    wait_for(lambda: sessions(host) == 0, LIMIT_S)
