"""Setting up that breaks in the middle goes on where it was, and no step runs twice for nothing."""

import hashlib
import signal
from functools import partial
from pathlib import Path

import pytest

from domain.aggregates.host_events import (
    BootstrapStepDone,
    BootstrapStepFailed,
    BootstrapStepSent,
    Failed,
    Recovered,
)
from tests.end_to_end.bootstrapping.bootstrapped import (
    ETCD,
    FLAGS,
    installs,
    leftovers,
    make_cluster,
    sent,
    set_up,
    written,
)
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.history import events_of, first_failure, kept_output
from tests.fleet import Fleet, Host
from tests.support.service import Service, wait_for

PACKAGE_S = 2.0
STEPS = "/var/lib/commissaire/steps"


def register(service: Service, host: Host) -> None:
    make_cluster(service, ETCD)
    assert service.register(host, cluster="overlaid").status_code == 201


def is_installing(host: Host) -> bool:
    return len(installs(host)) > 0


def is_whole(service: Service, host: Host) -> None:
    """Set up, and as if nothing had been in between."""
    service.wait_for_status(host.address, "active")
    assert FLAGS in host.path("/etc/sysconfig/flanneld").read_text()
    assert [file["path"] for file in written(service, host)] == ["/etc/sysconfig/flanneld"]
    assert leftovers(host) == []


def test_a_step_that_fails_is_repeated_with_the_reason_in_the_log_and_goes_on_from_there(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    host.set("unit_fails", "docker")
    register(service, host)
    service.wait_for_status(host.address, "failed")
    failure = first_failure(service, host.address)
    assert failure.kind == "setup"
    assert failure.reason == (
        "Step 'services' of setting it up ended with exit status 1: “Job for docker.service failed"
        " because the control process exited with error code.”."
    )
    failed = partial(events_of, BootstrapStepFailed, service, host.address)
    wait_for(lambda: len(failed()) >= 3)
    # What was written is told once, though the step is sent again and again.
    assert [len(event.changed) for event in failed()[:3]] == [1, 0, 0]
    assert failed()[0].evidence["exit_status"] == 1
    assert not events_of(Recovered, service, host.address), "it never did better in between"
    assert len(events_of(Failed, service, host.address)) == 1, "the same reason is no news"
    host.set("unit_fails", "none")
    service.wait_for_status(host.address, "active")
    assert len(installs(host)) == 1, "the step before is done, and not done again"
    assert [event.status for event in events_of(Recovered, service, host.address)] == [
        "bootstrapping"
    ]
    assert leftovers(host) == []


def test_a_package_command_that_fails_is_named_with_its_last_words(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("rocky")
    host.set("packages_missing", "flannel docker")
    register(service, host)
    service.wait_for_status(host.address, "failed")
    reason = first_failure(service, host.address).reason
    assert reason.startswith("Step 'packages' of setting it up ended with exit status 1: “")
    assert reason.endswith("Error: Unable to find a match: flannel”.")
    failed = events_of(BootstrapStepFailed, service, host.address)[0]
    output = kept_output(service, failed.run, host.address)
    assert b"Error: Unable to find a match: flannel" in output
    assert failed.evidence == {
        "exit_status": 1,
        "output_sha256": hashlib.sha256(output).hexdigest(),
        "output_bytes": len(output),
    }
    host.set("packages_missing", "")
    is_whole(service, host)


def test_a_lost_connection_in_the_middle_of_a_step_loses_nothing(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    host.set("package_seconds", PACKAGE_S)
    register(service, host)
    wait_for(lambda: is_installing(host))
    assert host.drop_connections() > 0
    is_whole(service, host)
    assert len(installs(host)) == 1
    assert sent(service, host) == ["packages", "services"]


@pytest.mark.parametrize("step", ["packages", "services"])
def test_after_kill_9_in_the_middle_of_a_step_it_is_found_and_each_has_run_once(
    step: str, service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    host.set("package_seconds", PACKAGE_S if step == "packages" else 0)
    register(service, host)
    wait_for(lambda: step in sent(service, host))
    service.kill()
    service.start()
    is_whole(service, host)
    assert len(installs(host)) == 1
    assert sent(service, host) == ["packages", "services"]
    assert len(events_of(BootstrapStepDone, service, host.address)) == 2


def test_a_reboot_in_the_middle_of_a_step_is_noticed_and_the_step_is_sent_anew(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    host.set("package_seconds", 60)
    register(service, host)
    wait_for(lambda: is_installing(host))
    host.set("package_seconds", 0)
    host.reboot()
    is_whole(service, host)
    (cut,) = events_of(BootstrapStepFailed, service, host.address)
    why = "was cut short: the host rebooted meanwhile."
    assert cut.reason == f"Step 'packages' of setting it up {why}"
    assert not events_of(Failed, service, host.address)


def test_a_step_that_takes_too_long_is_stopped_and_the_host_has_failed(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    steps = tmp_path / "steps"
    steps.mkdir()
    (steps / "slow.toml").write_text(
        'systems = ["fedora"]\n[[steps]]\nname = "slow"\ntimeout_s = 1\n'
        'unless = [["test", "-e", "/never"]]\ncommands = [["sleep", "987"]]\n'
    )
    host = fleet.add("fedora")
    with Service(tmp_path / "service", database_url, *QUICK, "--bootstrap", str(steps)) as service:
        register(service, host)
        service.wait_for_status(host.address, "failed")
        reason = first_failure(service, host.address).reason
        assert reason == "Step 'slow' of setting it up did not end in time, and was stopped."
        service.stop(signal.SIGTERM)
    # (The next attempt, where there was time for one, is left to itself.)
    first = events_of(BootstrapStepSent, service, host.address)[0].run
    assert not [p for p in host.processes() if first in Path(f"/proc/{p.pid}/environ").read_text()]


def test_a_host_that_is_removed_while_it_is_set_up_is_left_alone(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    host.set("package_seconds", PACKAGE_S)
    register(service, host)
    wait_for(lambda: is_installing(host))
    assert service.client.delete(f"/host/{host.address}").status_code == 200
    host.set("package_seconds", 0)
    set_up(service, host)  # the same machine, anew: what runs there is no step of this one
    assert sent(service, host)[-1] == "services"
