"""Hosts of real systems are set up for the network of their cluster, by the steps that we bring."""

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from domain.aggregates.host_events import Bootstrapped
from tests.end_to_end.bootstrapping.bootstrapped import (
    ETCD,
    FLAGS,
    SERVER,
    installs,
    leftovers,
    make_cluster,
    owned,
    sent,
    set_up,
    written,
)
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.history import events_of, first_failure, history
from tests.fleet import Fleet
from tests.support.service import START_TIMEOUT_S, Service

DOCUMENT = Path(__file__).parents[3] / "docs/bootstrapping.md"
UNIT = "/etc/systemd/system/flanneld.service"


def test_an_etcd_network_is_written_as_it_says_with_mode_and_owner_and_the_log_tells_what(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    make_cluster(service, ETCD)
    set_up(service, host)
    path = host.path("/etc/sysconfig/flanneld")
    text = path.read_text()
    assert f'FLANNEL_OPTIONS="{FLAGS}"\n' in text
    assert 'FLANNEL_ETCD_ENDPOINTS="https://10.0.0.1:2379,https://10.0.0.2:2379"\n' in text
    assert owned(path) == (0o644, os.geteuid(), os.getegid())
    assert installs(host) == [["dnf", "-y", "install", "flannel", "moby-engine"]]
    assert ["systemctl", "enable", "flanneld", "docker"] in host.ran
    assert sent(service, host) == ["packages", "services"]
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert written(service, host) == [
        {
            "path": "/etc/sysconfig/flanneld",
            "sha256": digest,
            "mode": "0644",
            "owner": "root:root",
        }
    ]
    assert leftovers(host) == []


@pytest.mark.parametrize("system", ["centos", "rhel", "debian", "ubuntu", "busybox"])
def test_every_system_is_set_up_in_its_own_way(system: str, service: Service, fleet: Fleet) -> None:
    host = fleet.add(system)
    make_cluster(service, SERVER)
    set_up(service, host)
    debian = system in ("debian", "ubuntu", "busybox")
    text = host.path("/etc/default/flanneld" if debian else "/etc/sysconfig/flanneld").read_text()
    assert 'FLANNEL_OPTIONS="-remote=10.0.0.9:8888"\n' in text
    assert host.path(UNIT).exists() == debian
    assert len(installs(host)) == 1
    assert ["systemctl", "restart", "docker"] in host.ran
    enabled = ["add-apt-repository", "-y", "universe"]
    assert host.ran.count(enabled) == (1 if system == "ubuntu" else 0)


def test_a_second_time_nothing_is_changed_and_no_step_is_an_event(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("debian", user="ops")
    make_cluster(service, ETCD)
    set_up(service, host)
    before = len(history(service, host.address))
    was = {path: path.stat() for path in host.path("/etc/systemd/system").rglob("*")}
    ran = len(installs(host))
    assert service.client.delete(f"/host/{host.address}").status_code == 200
    set_up(service, host)
    topics = [event.TOPIC for event in history(service, host.address)[before:]]
    assert not [topic for topic in topics if "step" in topic]
    assert topics[-2:] == ["host.bootstrapped", "host.activated"]
    assert {path: path.stat() for path in was}.keys() == was.keys()
    assert all(path.stat().st_mtime_ns == seen.st_mtime_ns for path, seen in was.items())
    assert len(installs(host)) == ran


def test_a_step_that_was_begun_and_never_ended_is_needed_though_nothing_differs(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    make_cluster(service, ETCD)
    set_up(service, host)
    host.path("/var/lib/commissaire/bootstrap/services").touch()
    assert service.client.delete(f"/host/{host.address}").status_code == 200
    set_up(service, host)
    assert sent(service, host) == ["packages", "services", "services"]
    assert len(written(service, host)) == 1
    assert host.ran.count(["systemctl", "restart", "flanneld"]) == 2
    assert leftovers(host) == []


def test_a_host_of_the_built_in_network_or_of_one_that_knows_nobody_is_left_alone(
    service: Service, fleet: Fleet
) -> None:
    make_cluster(service, {"type": "flannel_etcd"}, "empty")
    service.client.put("/cluster/plain").raise_for_status()
    hosts = fleet.add_many(["fedora", "debian"])
    for host, cluster in zip(hosts, ("plain", "empty"), strict=True):
        set_up(service, host, cluster=cluster)
        assert host.ran == []
        assert not host.path("/var/lib/commissaire").exists()
        assert sent(service, host) == []


def test_a_host_that_was_set_up_once_is_not_set_up_again_in_another_network(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    make_cluster(service, ETCD)
    assert service.register(host).status_code == 201
    service.wait_for_status(host.address, "disassociated")
    answer = service.client.put(f"/cluster/overlaid/hosts/{host.address}")
    assert answer.status_code == 200
    service.wait_for_status(host.address, "active")
    host.stop()
    host.start()
    assert sent(service, host) == []
    assert len(events_of(Bootstrapped, service, host.address)) == 1


def test_another_user_than_root_sets_up_by_sudo(service: Service, fleet: Fleet) -> None:
    host = fleet.add("fedora", user="ops")
    make_cluster(service, ETCD)
    set_up(service, host)
    path = host.path("/etc/sysconfig/flanneld")
    assert FLAGS in path.read_text()
    assert owned(path)[0] == 0o644
    if os.geteuid() == 0:
        assert owned(path)[1:] == (0, 0)
    assert leftovers(host) == []


def test_a_tree_without_flannel_fails_the_host_with_what_to_do(
    service: Service, fleet: Fleet
) -> None:
    host = fleet.add("atomic")
    make_cluster(service, ETCD)
    assert service.register(host, cluster="overlaid").status_code == 201
    service.wait_for_status(host.address, "failed")
    failure = first_failure(service, host.address)
    assert failure.kind == "setup"
    assert failure.reason.startswith("Step 'tree' of setting it up ended with exit status 1: “Its")
    assert "deploy one that has" in failure.reason


def test_the_example_of_the_document_stands_in_place_of_what_we_bring(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    steps = tmp_path / "steps"
    steps.mkdir()
    (steps / "ours.toml").write_text(example)
    hosts = fleet.add_many(["debian", "fedora"])
    with Service(tmp_path / "service", database_url, *QUICK, "--bootstrap", str(steps)) as service:
        make_cluster(service, ETCD)
        set_up(service, *hosts)
        assert sent(service, hosts[0]) == ["certificates", "flannel"]
        assert sent(service, hosts[1]) == ["packages", "services"], "as no file says else"
        path = hosts[0].path("/etc/flannel/options")
        assert path.read_text() == (f'# Network overlaid\nFLANNEL_OPTIONS="{FLAGS} -iface=eth1"\n')
        assert owned(path)[0] == 0o640
        assert owned(hosts[0].path("/etc/etcd"))[0] == 0o750
        assert installs(hosts[0]) == []


def test_with_none_nothing_is_ever_installed(
    tmp_path: Path, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("fedora")
    with Service(tmp_path / "service", database_url, "--bootstrap", "none") as service:
        make_cluster(service, ETCD)
        set_up(service, host)
        assert sent(service, host) == []
    assert host.ran == []


def test_a_service_with_a_wrong_step_file_does_not_start_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('systems = ["fedora"]\nstep = []\n')
    service = Service(tmp_path / "service", None, "--bootstrap", str(tmp_path))
    ended = subprocess.run(
        service.command(),
        env=dict(service.environment()),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == (
        f"commissaire: --bootstrap {tmp_path}: bad.toml: step: Extra inputs are not permitted"
    )
