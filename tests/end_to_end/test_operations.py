"""Operations on real hosts: what runs there, what is shown of it, and what stops them."""

from typing import Any

from tests.fleet import Fleet, Host
from tests.service import Service, wait_for

PACKAGE_COMMANDS = {"fedora": "dnf", "centos": "yum", "debian": "apt-get", "atomic": "rpm-ostree"}
OVER = ("finished", "partial", "failed", "cancelled")


def cluster_of(service: Service, hosts: list[Host], name: str = "web") -> None:
    """A cluster of these hosts, all active."""
    assert service.client.put(f"/cluster/{name}").status_code == 201
    for host in hosts:
        assert service.register(host, cluster=name).status_code == 201
    for host in hosts:
        service.wait_for_status(host.address, "active")


def begin(service: Service, kind: str, **body: Any) -> str:
    """The id of an operation that was just begun."""
    answer = service.client.put(f"/cluster/web/{kind}", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"].rpartition("/")[2])


def shown(service: Service, name: str) -> Any:
    """One operation as it is now."""
    return service.client.get(f"/operation/{name}").json()


def over(service: Service, name: str, timeout_s: float = 60.0) -> Any:
    """One operation once it is over."""
    return wait_for(
        lambda: found if (found := shown(service, name))["status"] in OVER else None, timeout_s
    )


def outcomes(operation: Any) -> list[str]:
    """Of its hosts, in order."""
    return [host["outcome"] for host in operation["hosts"]]


def upgrades(host: Host) -> int:
    """How often the package command that upgrades ran on a host."""
    verbs = ("upgrade", "update", "deploy")
    return sum(
        1
        for argv in host.ran
        if argv[0] in PACKAGE_COMMANDS.values()
        and any(word in verbs for word in argv)
        and not (argv[0] == "apt-get" and "update" in argv)
    )


def reboots(host: Host) -> int:
    """How often a host was asked to reboot."""
    return [argv[0] for argv in host.ran].count("reboot")


def test_an_upgrade_runs_each_systems_command_once_and_shows_what_it_said(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "centos", "debian", "atomic"])
    cluster_of(service, hosts)
    name = begin(service, "upgrade", max_parallel=2)
    operation = over(service, name)
    assert operation["status"] == "finished", operation
    assert outcomes(operation) == ["done"] * 4
    assert [upgrades(host) for host in hosts] == [1] * 4
    for host, told in zip(hosts, operation["hosts"], strict=True):
        assert told["evidence"]["exit_status"] == 0
        output = service.client.get(f"/operation/{name}/hosts/{host.address}/output")
        assert told["evidence"]["output_bytes"] == len(output.content) > 0
        assert not list(host.path("/var/lib/commissaire/steps").glob("*/output"))
    record = service.client.get("/cluster/web/upgrade").json()
    assert record["upgraded"] == [
        found
        for host in hosts
        for found in service.client.get("/hosts").json()
        if found["address"] == host.address
    ]


def test_a_restart_is_proved_by_the_boot_id(service: Service, fleet: Fleet) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    cluster_of(service, hosts)
    before = [host.boot_id for host in hosts]
    operation = over(service, begin(service, "restart", healthy_for_s=0.5))
    assert operation["status"] == "finished", operation
    assert [reboots(host) for host in hosts] == [1, 1]
    told = [host["evidence"] for host in operation["hosts"]]
    assert [evidence["boot_id_before"] for evidence in told] == before
    assert [evidence["boot_id_after"] for evidence in told] == [host.boot_id for host in hosts]


def test_a_reboot_that_is_none_fails_and_says_so(service: Service, fleet: Fleet) -> None:
    host = fleet.add("fedora")
    cluster_of(service, [host])
    host.reboots("same")
    operation = over(service, begin(service, "restart", step_timeout_s=3))
    assert operation["status"] == "failed"
    assert "did not reboot" in operation["hosts"][0]["reason"]


def test_a_host_that_does_not_come_back_is_unknown_and_stops_the_others(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "fedora"])
    cluster_of(service, hosts)
    hosts[0].reboots("never")
    operation = over(service, begin(service, "restart", step_timeout_s=3))
    assert operation["status"] == "failed"
    assert outcomes(operation) == ["unknown", "waiting"]
    assert reboots(hosts[1]) == 0
    assert service.status(hosts[0].address) == "failed"


def test_another_host_key_on_return_fails_and_nothing_more_is_sent(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    cluster_of(service, [host])
    host.reboots("never")
    name = begin(service, "restart")
    wait_for(lambda: reboots(host) == 1)
    wait_for(lambda: not host.processes())
    host.change_host_key_while_down()
    host.start()
    operation = over(service, name)
    assert outcomes(operation) == ["failed"]
    assert "host key" in operation["hosts"][0]["reason"]
    assert service.status(host.address) == "failed"


def test_a_version_is_deployed_and_a_host_that_cannot_be_deployed_says_why(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["atomic", "fedora"])
    cluster_of(service, hosts)
    operation = over(service, begin(service, "deploy", version="27.93-1", reboot="if_needed"))
    assert outcomes(operation) == ["done", "failed"]
    assert ["rpm-ostree", "deploy", "27.93-1"] in hosts[0].ran
    assert reboots(hosts[0]) == 1, "a staged tree takes a reboot"
    assert "OSTree" in operation["hosts"][1]["reason"]
    assert [reboots(hosts[1]), upgrades(hosts[1])] == [0, 0]


def test_a_failing_package_command_fails_its_host_with_the_exit_status(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "fedora", "fedora"])
    cluster_of(service, hosts)
    hosts[0].set("package_status", 7)
    name = begin(service, "upgrade", max_failures=1, max_parallel="100%")
    operation = over(service, name)
    assert operation["status"] == "partial"
    assert outcomes(operation) == ["failed", "done", "done"]
    assert operation["hosts"][0]["evidence"]["exit_status"] == 7
    hosts[0].set("package_status", 0)
    answer = service.client.put(f"/operation/{name}/retry")
    again = over(service, answer.json()["id"])
    assert (again["status"], len(again["hosts"])) == ("finished", 1)
    assert again["hosts"][0]["attempts"] == 2
    assert [upgrades(host) for host in hosts] == [2, 1, 1]


def test_cancelling_stops_what_runs_and_starts_nothing_more(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "fedora"])
    cluster_of(service, hosts)
    hosts[0].set("package_seconds", 300)
    name = begin(service, "upgrade")
    wait_for(lambda: upgrades(hosts[0]) == 1)
    service.client.put(f"/operation/{name}/state", json={"state": "cancelled"})
    operation = over(service, name)
    assert operation["status"] == "cancelled"
    assert outcomes(operation) == ["failed", "waiting"]
    assert "cancelled" in operation["hosts"][0]["reason"]
    wait_for(lambda: not [p for p in hosts[0].processes() if p.name == "sleep"])
    assert upgrades(hosts[1]) == 0


def test_sshd_that_the_upgrade_restarts_and_a_cut_connection_change_nothing(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "debian"])
    cluster_of(service, hosts)
    hosts[0].set("package_restarts_sshd", "yes")
    for host in hosts:
        host.set("package_seconds", 2)
    name = begin(service, "upgrade", max_parallel=2)
    wait_for(lambda: all(upgrades(host) for host in hosts))
    hosts[1].drop_connections()
    operation = over(service, name)
    assert operation["status"] == "finished", operation
    assert [upgrades(host) for host in hosts] == [1, 1]


def test_a_paused_operation_finishes_its_host_and_goes_on_when_it_is_resumed(
    service: Service, fleet: Fleet
) -> None:
    hosts = fleet.add_many(["fedora", "fedora"])
    cluster_of(service, hosts)
    hosts[0].set("package_seconds", 1)
    name = begin(service, "upgrade")
    path = f"/operation/{name}/state"
    assert service.client.put(path, json={"state": "paused"}).json()["status"] == "paused"
    wait_for(lambda: outcomes(shown(service, name))[0] == "done" or None)
    assert outcomes(shown(service, name)) == ["done", "waiting"]
    service.client.put(path, json={"state": "in_process"})
    assert over(service, name)["status"] == "finished"


def test_a_host_that_is_off_when_its_turn_comes_has_failed_and_nothing_was_sent(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    cluster_of(service, [host])
    host.stop()
    operation = over(service, begin(service, "upgrade", step_timeout_s=2))
    assert outcomes(operation) == ["failed"]
    assert "Nothing was sent" in operation["hosts"][0]["reason"]


def test_a_frozen_host_is_waited_for_and_then_unknown(service: Service, fleet: Fleet) -> None:
    hosts = fleet.add_many(["fedora", "fedora"])
    cluster_of(service, hosts)
    for host in hosts:
        host.set("package_seconds", 1)
    name = begin(service, "upgrade", step_timeout_s=8, max_parallel=2, max_failures=1)
    wait_for(lambda: all(upgrades(host) for host in hosts))
    hosts[0].freeze()
    hosts[1].freeze()
    wait_for(lambda: "thawed" if shown(service, name)["counts"]["in_process"] == 2 else None)
    hosts[1].thaw()
    operation = over(service, name)
    assert outcomes(operation) == ["unknown", "done"]
    assert operation["status"] == "partial"
