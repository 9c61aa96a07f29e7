"""Hosts that take no step, or do not answer: the record says why from the first attempt on."""

from runners.steps.contact import NEWS_S
from tests.end_to_end.operations.rolled import Rolled, outcomes, upgrades
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

STEPS = "/var/lib/commissaire/steps"
SHORT_S = 4


def reason(rolled: Rolled) -> str:
    """What the record says of its only host now."""
    return str(rolled.record["hosts"][0]["reason"])


def test_a_host_that_takes_no_step_says_why_at_once_and_goes_on_once_it_is_mended(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    host.path(STEPS).parent.mkdir()
    host.path(STEPS).symlink_to("/tmp")
    rolled.begin("upgrade")
    wait_for(lambda: f"{STEPS} is not a directory of root" in reason(rolled))
    assert outcomes(rolled.record) == ["in_process"]
    host.path(STEPS).unlink()
    told = rolled.over()["hosts"][0]
    assert (told["outcome"], told["reason"], upgrades(host)) == ("done", "", 1)


def test_a_host_that_took_no_step_to_the_end_has_failed_and_is_not_unknown(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    host.path(STEPS).parent.mkdir()
    host.path(STEPS).symlink_to("/tmp")
    rolled.begin("upgrade", step_timeout_s=SHORT_S)
    told = rolled.over()["hosts"][0]
    assert (told["outcome"], upgrades(host)) == ("failed", 0)
    assert "not a directory of root" in told["reason"]
    assert told["reason"].endswith("Nothing of its step has begun.")


def test_a_host_that_is_lost_in_the_middle_says_so_until_it_answers_again(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    keys = host.path("/run/fleet/authorized_keys")
    known = keys.read_bytes()
    host.set("package_seconds", 8)
    rolled.begin("upgrade")
    wait_for(lambda: upgrades(host) == 1)
    host.let_in()  # nobody
    host.drop_connections()
    wait_for(lambda: "cut while" in reason(rolled) or "authorized_keys" in reason(rolled))
    assert outcomes(rolled.record) == ["in_process"]
    keys.write_bytes(known)
    told = rolled.over()["hosts"][0]
    assert (told["outcome"], told["reason"], upgrades(host)) == ("done", "", 1)


def test_a_step_that_runs_costs_the_hosts_log_few_and_short_lines(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora", user="ops")
    sudoers = host.path("/etc/sudoers")
    sudoers.chmod(0o640)
    sudoers.write_text(f"Defaults logfile=/var/log/sudo.log\n{sudoers.read_text()}")
    sudoers.chmod(0o440)
    rolled = Rolled(service, [host])
    host.set("package_seconds", 20)
    log = host.path("/var/log/sudo.log")
    before = len(log.read_text())
    rolled.begin("upgrade")
    assert rolled.over()["status"] == "finished"
    calls = log.read_text()[before:].split("COMMAND=")[1:]
    assert len(calls) <= 2 + 20 / NEWS_S * 4, calls
    assert sum(map(len, calls)) < 1000 * len(calls)


def test_a_step_is_cancelled_while_the_host_is_asked_for_news(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    rolled = Rolled(service, [host])
    host.set("package_seconds", 600)
    rolled.begin("upgrade")
    wait_for(lambda: upgrades(host) == 1)
    rolled.steer("cancelled")
    told = rolled.over()["hosts"][0]
    assert (told["outcome"], told["reason"]) == (
        "failed",
        "It was cancelled: its step was stopped.",
    )
