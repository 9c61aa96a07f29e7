"""What a package command says is not taken for what is installed, when a host is set up."""

from pathlib import Path

import pytest

from tests.end_to_end.bootstrapping.bootstrapped import ETCD, make_cluster, sent
from tests.end_to_end.history import first_failure
from tests.fleet import Fleet
from tests.support.real_apt import RealApt
from tests.support.service import Service, wait_for

LIMIT_S = 60.0
STEPS = "/var/lib/commissaire/steps"


@pytest.mark.parametrize(
    ("system", "tool", "missing"),
    [
        ("fedora", "dnf", "systemctl cat flanneld.service"),
        ("centos", "yum", "systemctl cat flanneld.service"),
        ("debian", "apt-get", "sh -c command -v flanneld"),
    ],
)
def test_a_package_command_that_ends_with_0_and_installs_nothing_fails_the_host(
    service: Service, fleet: Fleet, system: str, tool: str, missing: str
) -> None:
    host = fleet.add(system)
    host.path(f"/usr/bin/{tool}").write_text("#!/bin/sh\necho 'Ignoring repositories: updates'\n")
    make_cluster(service, ETCD)
    assert service.register(host, cluster="overlaid").status_code == 201
    service.wait_for_status(host.address, "failed")
    reason = first_failure(service, host.address).reason
    assert f"It was done, and still is not so: {missing}" in reason


def test_real_apt_sets_a_host_up_once_the_lock_of_its_lists_is_free(
    service: Service, fleet: Fleet, tmp_path: Path
) -> None:
    apt = RealApt(fleet.add("debian"), tmp_path)
    apt.publish("flannel", "1", brings="/usr/bin/flanneld")
    apt.publish("docker.io", "1", brings="/usr/lib/systemd/system/docker.service")
    make_cluster(service, ETCD)

    def is_held_up() -> bool:
        said = [path.read_text() for path in apt.host.path(STEPS).glob("*/output")]
        return any("get lock /var/lib/apt/lists/lock" in text for text in said)

    with apt.locked("/var/lib/apt/lists/lock"):
        assert service.register(apt.host, cluster="overlaid").status_code == 201
        wait_for(is_held_up, LIMIT_S)
        assert apt.installed() == {}
    service.wait_for_status(apt.host.address, "active")
    assert apt.installed() == {"flannel": "1", "docker.io": "1"}
    assert sent(service, apt.host) == ["packages", "services"]
