"""Many hosts are set up for a network, next to Ansible that writes the same files and runs the same
commands on them."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.anchors import ansible
from bench.figure import Cost, Figure, Scale, at_a_cost
from bench.ground import Ground
from bench.processes import SERVER_CPU, Ours, children_seconds, cpu_seconds
from domain.commands.bootstrap import Wanted
from runners.bootstrapping.rendered_step import ready, values_of
from runners.bootstrapping.step_files import built_in
from tests.fleet import Fleet, Host
from tests.support.service import wait_for

HOSTS = 50
PARALLEL = 10
PACKAGE_S = 1.0
"""How long the package command takes. Whoever runs it takes at least as long."""
LIMIT = 0.5
TIMEOUT_S = 600.0
POLL_S = 0.1
CLIENTS = 10
NETWORK = Wanted("overlay", "flannel_etcd", {"endpoints": "http://10.0.0.1:2379"})
PLAYBOOK = Path(__file__).parents[2] / "anchors/bootstrap.yml"
SETTINGS = "/etc/sysconfig/flanneld"
UNITS = "/usr/lib/systemd/system"


def against_ansible(ground: Ground, scale: Scale) -> list[Figure]:
    """Wall time and controller CPU of both, from bare hosts to working ones."""
    directory = ground.new_directory("ansible")
    flags = ("--ssh-parallel", str(PARALLEL))
    with Fleet(ground.new_directory("fleet")) as fleet, ground.ours(None, *flags) as ours:
        hosts = fleet.add_many(["fedora"] * HOSTS)
        for host in hosts:
            host.set("package_seconds", PACKAGE_S)
            host.path(SETTINGS).parent.mkdir(exist_ok=True)  # as every Fedora has it
        options = {"type": NETWORK.type, "options": NETWORK.options}
        ours.client.put(f"/network/{NETWORK.network}", json=options).raise_for_status()
        body = {"network": NETWORK.network}
        ours.client.put(f"/cluster/{NETWORK.network}", json=body).raise_for_status()
        if not (ansible.installed() and ansible.give_python(hosts)):
            return []
        directory.mkdir()
        playbook = Path(shutil.copy(PLAYBOOK, directory))
        (directory / "flanneld").write_text(_settings())
        return at_a_cost(
            f"bootstrap of {HOSTS} hosts, {PARALLEL} at once (bare: ansible -f {PARALLEL})",
            lambda: _ours(ours, hosts),
            lambda: _ansible(directory, hosts, playbook),
            scale.fleet_rounds,
            LIMIT,
        )


def _ours(ours: Ours, hosts: list[Host]) -> Cost:
    """From the first registration until all take part in their cluster."""
    begin, cpu = time.perf_counter(), cpu_seconds(ours.pid)
    with ThreadPoolExecutor(CLIENTS) as clients:
        for answer in clients.map(lambda h: ours.register(h, cluster=NETWORK.network), hosts):
            answer.raise_for_status()

    def all_are_active() -> bool:
        time.sleep(POLL_S)
        counts = ours.client.get(f"/cluster/{NETWORK.network}").json()["hosts"]
        return bool(counts["available"] == len(hosts))

    wait_for(all_are_active, TIMEOUT_S)
    cost = Cost(time.perf_counter() - begin, cpu_seconds(ours.pid) - cpu)
    for host in hosts:
        ours.client.delete(f"/host/{host.address}").raise_for_status()
    _make_bare(hosts)
    return cost


def _ansible(directory: Path, hosts: list[Host], playbook: Path) -> Cost:
    begin, cpu = time.perf_counter(), children_seconds()
    ansible.play(directory, hosts, playbook, parallel=PARALLEL, pinned_to=SERVER_CPU)
    cost = Cost(time.perf_counter() - begin, children_seconds() - cpu)
    _make_bare(hosts)
    return cost


def _make_bare(hosts: list[Host]) -> None:
    """See that it was done, and undo it."""
    for host in hosts:
        settings = host.path(SETTINGS)
        if settings.read_text() != _settings() or not host.path("/run/fleet/units").exists():
            raise RuntimeError(f"{host.address} is not set up")
        settings.unlink()
        shutil.rmtree(host.path("/run/fleet/units"))
        for unit in ("flanneld", "docker"):
            host.path(f"{UNITS}/{unit}.service").unlink()


def _settings() -> str:
    """The one file that both write."""
    (file,) = (
        file for step in built_in()["fedora"] for file in ready(step, values_of(NETWORK)).files
    )
    return file.content
