"""Operations on real hosts: what runs there, what is shown of it, and what stops them."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.hosts.observing import figures
from tests.end_to_end.operations.rolled import Rolled, outcomes, reboots, upgrades
from tests.fleet import Fleet
from tests.support.service import Service, wait_for


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts for the tests of this file, which each take some of their own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all of them, on SQLite: no database has a say in what is tested here."""
    flags = (*QUICK, "--ssh-command-timeout-s", "4", "--log-requests")
    with Service(tmp_path_factory.mktemp("service"), None, *flags) as running:
        yield running


def test_an_upgrade_runs_each_systems_command_once_and_shows_what_it_said(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "centos", "debian", "atomic"])
    rolled = Rolled(service, hosts)
    rolled.begin("upgrade", max_parallel=2)
    operation = rolled.over()
    assert operation["status"] == "finished", operation
    assert outcomes(operation) == ["done"] * 4
    assert [upgrades(host) for host in hosts] == [1] * 4
    for host, told in zip(hosts, operation["hosts"], strict=True):
        assert told["evidence"]["exit_status"] == 0
        assert told["evidence"]["output_bytes"] == len(rolled.output(host)) > 0
        steps = host.path("/var/lib/commissaire/steps")
        wait_for(lambda steps=steps: not list(steps.glob("*/output")))  # type: ignore[misc]
    record = service.client.get(f"/cluster/{rolled.cluster}/upgrade").json()
    assert [host["address"] for host in record["upgraded"]] == [host.address for host in hosts]
    listed = {host["address"]: host for host in service.client.get("/hosts").json()}
    assert record["upgraded"] == [listed[host.address] for host in hosts]


@pytest.mark.parametrize("user", ["svc-ops@corp.example", r"CORP\ops"])
def test_users_of_directories_upgrade_hosts_with_sudo(
    service: Service, fleet: Fleet, user: str
) -> None:
    host = fleet.add("debian", user=user)
    rolled = Rolled(service, [host])
    rolled.begin("upgrade")
    assert rolled.over()["status"] == "finished"
    assert upgrades(host) == 1


def test_a_restart_is_proved_by_the_boot_id(service: Service, fleet: Fleet) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    rolled = Rolled(service, hosts)
    before = [host.boot_id for host in hosts]
    rolled.begin("restart", healthy_for_s=0.5)
    operation = rolled.over()
    assert operation["status"] == "finished", operation
    assert [reboots(host) for host in hosts] == [1, 1]
    told = [host["evidence"] for host in operation["hosts"]]
    assert [evidence["boot_id_before"] for evidence in told] == before
    assert [evidence["boot_id_after"] for evidence in told] == [host.boot_id for host in hosts]


def test_a_reboot_that_is_none_fails_and_says_so(service: Service, fleet: Fleet) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    host.reboots("same")
    rolled.begin("restart", step_timeout_s=3)
    operation = rolled.over()
    assert operation["status"] == "failed"
    assert "did not reboot" in operation["hosts"][0]["reason"]


def test_a_host_that_does_not_come_back_is_unknown_and_stops_the_others(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "fedora"])
    rolled = Rolled(service, hosts)
    hosts[0].reboots("never")
    rolled.begin("restart", step_timeout_s=3)
    operation = rolled.over()
    assert operation["status"] == "failed"
    assert outcomes(operation) == ["unknown", "waiting"]
    assert reboots(hosts[1]) == 0
    assert service.status(hosts[0].address) == "failed"


def test_another_host_key_on_return_fails_and_nothing_more_is_sent(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    host.reboots("never")
    rolled.begin("restart", step_timeout_s=5)
    wait_for(lambda: reboots(host) == 1)
    wait_for(lambda: not host.processes())
    host.change_host_key()  # which starts its sshd
    operation = rolled.over()
    assert outcomes(operation) == ["failed"]
    assert "host key" in operation["hosts"][0]["reason"]
    assert service.status(host.address) == "failed"
    assert reboots(host) == 1


def test_a_version_is_deployed_and_a_host_that_cannot_be_deployed_says_why(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["atomic", "fedora"])
    rolled = Rolled(service, hosts)
    rolled.begin("deploy", version="27.93-1", reboot="if_needed")
    operation = rolled.over()
    assert outcomes(operation) == ["done", "failed"]
    assert ["rpm-ostree", "deploy", "27.93-1"] in hosts[0].ran
    assert reboots(hosts[0]) == 1, "a staged tree takes a reboot"
    assert "OSTree" in operation["hosts"][1]["reason"]
    assert [reboots(hosts[1]), upgrades(hosts[1])] == [0, 0]


def test_a_failing_package_command_fails_its_host_and_a_retry_takes_that_one(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "fedora", "fedora"])
    rolled = Rolled(service, hosts)
    hosts[0].set("package_status", 7)
    rolled.begin("upgrade", max_failures=1, max_parallel="100%")
    operation = rolled.over()
    assert operation["status"] == "partial"
    assert outcomes(operation) == ["failed", "done", "done"]
    assert operation["hosts"][0]["evidence"]["exit_status"] == 7
    assert "exit status 7" in operation["hosts"][0]["reason"]
    hosts[0].set("package_status", 0)
    rolled.retry()
    again = rolled.over()
    assert (again["status"], len(again["hosts"])) == ("finished", 1)
    assert again["hosts"][0]["attempts"] == 2
    assert [upgrades(host) for host in hosts] == [2, 1, 1]


def test_cancelling_stops_what_runs_and_starts_nothing_more(service: Service, fleet: Fleet) -> None:
    hosts = fleet.add_many(["fedora", "fedora"])
    rolled = Rolled(service, hosts)
    hosts[0].set("package_seconds", 300)
    rolled.begin("upgrade")
    wait_for(lambda: upgrades(hosts[0]) == 1)
    wait_for(lambda: b"Upgrading" in rolled.output(hosts[0]))  # readable while it runs
    assert rolled.steer("cancelled")["cancelling"]
    operation = rolled.over()
    assert operation["status"] == "cancelled"
    assert outcomes(operation) == ["failed", "waiting"]
    assert "cancelled" in operation["hosts"][0]["reason"]
    assert not [process for process in hosts[0].processes() if process.name == "sleep"]
    assert upgrades(hosts[1]) == 0


def test_sshd_that_the_upgrade_restarts_and_a_cut_connection_change_nothing(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    rolled = Rolled(service, hosts)
    hosts[0].set("package_restarts_sshd", "yes")
    for host in hosts:
        host.set("package_seconds", 2)
    rolled.begin("upgrade", max_parallel=2)
    wait_for(lambda: all(upgrades(host) for host in hosts))
    hosts[1].drop_connections()
    operation = rolled.over()
    assert operation["status"] == "finished", operation
    assert [upgrades(host) for host in hosts] == [1, 1]


def test_a_paused_operation_finishes_its_host_and_goes_on_when_it_is_resumed(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "fedora"])
    rolled = Rolled(service, hosts)
    hosts[0].set("package_seconds", 1)
    rolled.begin("upgrade")
    assert rolled.steer("paused")["status"] == "paused"
    wait_for(lambda: outcomes(rolled.record)[0] == "done")
    assert outcomes(rolled.record) == ["done", "waiting"]
    paused = figures(service, kind="upgrade", status="paused")
    assert paused["commissaire_operations"] == 1
    for outcome, count in (("done", 1), ("waiting", 1), ("in_process", 0)):
        assert figures(service, outcome=outcome)["commissaire_operation_hosts"] == count
    rolled.steer("in_process")
    assert rolled.over()["status"] == "finished"


def test_a_host_that_is_off_when_its_turn_comes_has_failed_and_nothing_was_sent(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    host.stop()
    rolled.begin("upgrade", step_timeout_s=2)
    operation = rolled.over()
    assert outcomes(operation) == ["failed"]
    assert "Nothing was sent" in operation["hosts"][0]["reason"]


@pytest.mark.proof
def test_a_frozen_host_is_waited_for_and_then_unknown(service: Service, fleet: Fleet) -> None:
    hosts = fleet.add_many(["fedora", "fedora"])
    rolled = Rolled(service, hosts)
    for host in hosts:
        host.set("package_seconds", 2)
    rolled.begin("upgrade", step_timeout_s=6, max_parallel=2, max_failures=1)
    wait_for(lambda: all(upgrades(host) for host in hosts))
    for host in hosts:
        host.freeze()
    hosts[1].thaw()
    operation = rolled.over()
    hosts[0].thaw()
    assert outcomes(operation) == ["unknown", "done"]
    assert operation["status"] == "partial"
