"""Reboots that a host refuses, proves late, or comes back from by way of another sshd."""

import pytest

from tests.end_to_end.operations.rolled import Rolled, outcomes, reboots
from tests.fleet import Fleet, Host
from tests.support.service import Service, wait_for

INHIBITED = 'Operation inhibited by "backup" (PID 7 "rsync", user root), reason is "nightly".'
LIMIT_S = 60.0
PLACES = ("/usr/bin/systemctl", "/usr/sbin/reboot", "/usr/sbin/shutdown")


def refuse(host: Host, words: str, places: tuple[str, ...] = PLACES) -> None:
    """Let these ways of asking for a reboot end with these words."""
    for place in places:
        program = host.path(place)
        program.unlink()
        program.write_text(f'#!/bin/sh\necho "{words}" >&2\necho "Please retry." >&2\nexit 1\n')
        program.chmod(0o755)


def test_a_reboot_that_is_refused_fails_at_once_in_the_words_of_the_host(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    refuse(host, INHIBITED)
    before = host.boot_id
    rolled.begin("restart")  # ten minutes are its limit
    operation = rolled.over(LIMIT_S)
    told = operation["hosts"][0]
    assert (operation["status"], told["outcome"]) == ("failed", "failed")
    assert "It refused to reboot: “systemctl reboot” said “Operation inhibited by" in told["reason"]
    assert told["reason"].count("inhibited") == 1, "three times the same is said once"
    assert (told["evidence"]["boot_id_before"], told["evidence"]["exit_status"]) == (before, 1)
    assert service.status(host.address) == "active"


@pytest.mark.parametrize("words", [INHIBITED, "Call to Reboot failed: Access denied"])
def test_what_an_inhibitor_refuses_is_not_asked_for_in_another_way(
    service: Service, fleet: Fleet, words: str
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    refuse(host, words, PLACES[:1])
    before = host.boot_id
    rolled.begin("restart")
    told = rolled.over(LIMIT_S)["hosts"][0]
    assert (told["outcome"], host.boot_id) == ("failed", before)
    assert f"It refused to reboot: “systemctl reboot” said “{words[:18]}" in told["reason"]


@pytest.mark.parametrize("missing", [PLACES[:1], PLACES[:2]])
def test_the_way_of_asking_that_is_there_reboots_a_host(
    service: Service, fleet: Fleet, missing: tuple[str, ...]
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    for place in missing:
        host.path(place).unlink()
    before = host.boot_id
    rolled.begin("restart")
    assert rolled.over()["status"] == "finished"
    assert host.boot_id != before


def test_an_sshd_with_another_key_while_a_host_boots_is_not_the_host_yet(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    key = host.path("/run/fleet/host_key").read_bytes()
    host.reboots("never")
    rolled.begin("restart")
    wait_for(lambda: reboots(host) == 1)
    wait_for(lambda: not host.processes())
    host.change_host_key()  # the sshd of its initramfs, which asks for the key of the disk
    met = len(host.log.splitlines())
    wait_for(lambda: len(host.log.splitlines()) >= met + 2)  # it was looked at, and again
    host.stop()
    host.path("/run/fleet/host_key").write_bytes(key)
    host.start()
    operation = rolled.over()
    assert outcomes(operation) == ["done"]
    assert service.status(host.address) == "active"
    assert reboots(host) == 1


@pytest.mark.parametrize("brings_more", [False, True], ids=["nothing new", "more packages"])
def test_a_retry_of_an_upgrade_reboots_such_a_host_again_only_for_what_it_brings(
    service: Service, fleet: Fleet, brings_more: bool
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    rpm = host.path("/usr/bin/rpm")
    rpm.write_text("#!/bin/sh\ncat /root/packages; [ ! -e /root/more ] || date +%N\n")
    rpm.chmod(0o755)
    host.path("/root/packages").write_text("kernel 2\n")
    host.reboots("never")
    rolled.begin("upgrade", reboot="always", step_timeout_s=5)
    assert outcomes(rolled.over()) == ["unknown"]
    host.reboots("new")
    host.start()
    service.wait_for_status(host.address, "active")
    if brings_more:
        host.path("/root/more").touch()
    rolled.retry()
    assert rolled.over()["status"] == "finished"
    assert reboots(host) == (2 if brings_more else 1)


def test_what_a_retry_has_installed_before_it_failed_is_rebooted_for_by_the_next(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    rpm = host.path("/usr/bin/rpm")
    rpm.write_text("#!/bin/sh\necho kernel 2; [ ! -e /root/more ] || date +%N\n")
    rpm.chmod(0o755)
    host.reboots("never")
    rolled.begin("upgrade", reboot="always", step_timeout_s=5)
    assert outcomes(rolled.over()) == ["unknown"]
    host.reboots("new")
    host.start()
    service.wait_for_status(host.address, "active")
    host.path("/root/more").touch()
    host.set("package_status", 1)
    rolled.retry()
    assert outcomes(rolled.over()) == ["failed"]
    host.path("/root/more").unlink()
    host.set("package_status", 0)
    rolled.retry()
    assert rolled.over()["status"] == "finished"
    assert reboots(host) == 2


def test_a_host_that_came_back_too_late_is_not_rebooted_again_by_a_retry(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    before = host.boot_id
    host.reboots("never")
    rolled.begin("restart", step_timeout_s=3)
    assert outcomes(rolled.over()) == ["unknown"]
    host.reboots("new")
    host.start()
    service.wait_for_status(host.address, "active")
    rolled.retry()
    operation = rolled.over()
    told = operation["hosts"][0]
    assert (operation["status"], reboots(host)) == ("finished", 1)
    assert told["evidence"]["boot_id_before"] == before
    assert told["evidence"]["boot_id_after"] == host.boot_id
    assert "came back after its limit" in told["reason"]
