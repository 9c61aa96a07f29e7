"""A rolling upgrade of many hosts, next to Ansible that runs the same package command on them."""

import time
from pathlib import Path

from bench.anchors import ansible
from bench.figure import Cost, Figure, Scale, at_a_cost
from bench.ground import Ground
from bench.processes import SERVER_CPU, Ours, children_seconds, cpu_seconds
from tests.fleet import Fleet, Host
from tests.support.service import wait_for

HOSTS = 50
PARALLEL = 10
PACKAGE_S = 1.0
"""How long the package command takes. Whoever runs it takes at least as long."""
COMMAND = "dnf -y upgrade"
LIMIT = 0.5
EVENTS_LIMIT = 3.1
"""For each host that it was begun, its step sent, and how it ended; four for the operation."""
SETTLE_TIMEOUT_S = 300.0
UPGRADE_TIMEOUT_S = 600.0
POLL_S = 0.1
CLUSTER = "upgraded"
CHANGE = '"event":"change"'


def against_ansible(ground: Ground, scale: Scale) -> list[Figure]:
    """Wall time and controller CPU of both, and how many events it takes."""
    with Fleet(ground.new_directory("fleet")) as fleet, ground.ours() as ours:
        hosts = fleet.add_many(["fedora"] * HOSTS)
        for host in hosts:
            host.set("package_seconds", PACKAGE_S)
        _set_up(ours, hosts)
        figures = [_events(ours)]
        directory = ground.new_directory("ansible")
        if ansible.installed() and ansible.give_python(hosts):
            figures = (
                at_a_cost(
                    f"upgrade of {HOSTS} hosts, {PARALLEL} at once (bare: ansible -f {PARALLEL})",
                    lambda: _ours(ours),
                    lambda: _ansible(directory, hosts),
                    scale.fleet_rounds,
                    LIMIT,
                )
                + figures
            )
    return figures


def _set_up(ours: Ours, hosts: list[Host]) -> None:
    ours.client.put(f"/cluster/{CLUSTER}").raise_for_status()
    for host in hosts:
        ours.register(host, cluster=CLUSTER).raise_for_status()

    def all_are_active() -> bool:
        counts = ours.client.get(f"/cluster/{CLUSTER}").json()["hosts"]
        return bool(counts["available"] == len(hosts))

    wait_for(all_are_active, SETTLE_TIMEOUT_S)


def _ours(ours: Ours) -> Cost:
    """From the PUT until it is finished, asking how it goes in between."""
    begin, cpu = time.perf_counter(), cpu_seconds(ours.pid)
    body = {"max_parallel": PARALLEL}
    ours.client.put(f"/cluster/{CLUSTER}/upgrade", json=body).raise_for_status()

    def status() -> str:
        time.sleep(POLL_S)
        record = ours.client.get(f"/cluster/{CLUSTER}/upgrade").json()
        return "" if record["status"] == "in_process" else str(record["status"])

    ended = wait_for(status, UPGRADE_TIMEOUT_S)
    if ended != "finished":
        raise RuntimeError(f"the upgrade has {ended}")
    return Cost(time.perf_counter() - begin, cpu_seconds(ours.pid) - cpu)


def _ansible(directory: Path, hosts: list[Host]) -> Cost:
    begin, cpu = time.perf_counter(), children_seconds()
    task = ("-m", "command", "-a", COMMAND)
    ansible.run(directory, hosts, *task, parallel=PARALLEL, pinned_to=SERVER_CPU)
    return Cost(time.perf_counter() - begin, children_seconds() - cpu)


def _events(ours: Ours) -> Figure:
    """All that the log gets by one upgrade."""
    log = len(ours.read_log())
    _ours(ours)
    count = ours.read_log(log).count(CHANGE) / HOSTS
    name = f"events per host of an upgrade of {HOSTS}"
    return Figure(name, count, count, 1.0, "", "ours at most", EVENTS_LIMIT)
