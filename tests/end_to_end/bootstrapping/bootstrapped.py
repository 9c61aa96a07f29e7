"""Hosts that are set up for a network, as an operator asks for it, and what is on them then."""

from pathlib import Path
from typing import Any

from domain.aggregates.host_events import BootstrapStepDone, BootstrapStepSent
from tests.end_to_end.history import events_of
from tests.fleet import Host
from tests.support.service import Service

ETCD = {
    "type": "flannel_etcd",
    "options": {
        "endpoints": ["https://10.0.0.1:2379", "https://10.0.0.2:2379"],
        "prefix": "/fleet/network",
        "ca_path": "/etc/etcd/ca.pem",
        "certificate_path": "/etc/etcd/cert.pem",
        "certificate_key_path": "/etc/etcd/key.pem",
    },
}
FLAGS = (
    "-etcd-endpoints=https://10.0.0.1:2379,https://10.0.0.2:2379 -etcd-prefix=/fleet/network"
    " -etcd-cafile=/etc/etcd/ca.pem -etcd-certfile=/etc/etcd/cert.pem"
    " -etcd-keyfile=/etc/etcd/key.pem"
)
SERVER = {"type": "flannel_server", "options": {"address": "10.0.0.9:8888"}}
CLUSTER = "overlaid"
PACKAGE_COMMANDS = ("dnf", "yum", "apt-get", "rpm-ostree")


def make_cluster(service: Service, network: dict[str, Any], name: str = CLUSTER) -> None:
    """A cluster with a network of its own."""
    for path, body in ((f"/network/{name}", network), (f"/cluster/{name}", {"network": name})):
        answer = service.client.put(path, json=body)
        assert answer.status_code == 201, answer.text


def set_up(service: Service, *hosts: Host, cluster: str = CLUSTER) -> None:
    """Register hosts, and wait until they are active."""
    for host in hosts:
        assert service.register(host, cluster=cluster).status_code == 201
    for host in hosts:
        service.wait_for_status(host.address, "active")


def written(service: Service, host: Host) -> list[dict[str, str]]:
    """All files that the log says were written."""
    done = events_of(BootstrapStepDone, service, host.address)
    return [file for event in done for file in event.changed]


def sent(service: Service, host: Host) -> list[str]:
    """The steps that were sent, in their order."""
    return [event.step for event in events_of(BootstrapStepSent, service, host.address)]


def installs(host: Host) -> list[list[str]]:
    """The package commands that installed something, or tried to."""
    return [argv for argv in host.ran if argv[0] in PACKAGE_COMMANDS and "install" in argv]


def owned(path: Path) -> tuple[int, int, int]:
    """Mode, user and group."""
    found = path.stat()
    return found.st_mode & 0o7777, found.st_uid, found.st_gid


def leftovers(host: Host) -> list[str]:
    """What a step that is over has no business to leave on its host."""
    found = [*host.path("/etc").rglob("*.commissaire.*")]
    marks = host.path("/var/lib/commissaire/bootstrap")
    found += marks.iterdir() if marks.exists() else ()
    return [str(path) for path in found]
