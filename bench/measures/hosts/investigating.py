"""CPU for each host that is investigated, next to asyncssh alone, and to Ansible."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.anchors import ansible
from bench.figure import Figure, Scale, side_by_side
from bench.ground import Ground
from bench.processes import SERVER_CPU, Ours, children_seconds, cpu_seconds, pinned
from tests.fleet import Fleet, Host
from tests.support.service import wait_for

LIMIT = 1.5
MS_PER_S = 1000.0
CLIENTS = 16
"""Registrations at once, as from hosts that boot; the bare side begins with all hosts at once."""
SETTLE_TIMEOUT_S = 120.0
QUIET_S = 0.3
"""After the last host is set up: what still goes on belongs to the investigation too."""
BARE_TIMEOUT_S = 120.0


def cpu(ground: Ground, scale: Scale) -> list[Figure]:
    """Registration over HTTP until set up, against connect-and-run of the same script."""
    with Fleet(ground.new_directory("fleet")) as fleet, ground.ours() as ours:
        hosts = fleet.add_many(["fedora"] * scale.fleet_hosts)
        asyncssh = side_by_side(
            "CPU per host investigated (bare: asyncssh prepared)",
            lambda: _ours_ms(ours, hosts),
            lambda: _bare_ms(hosts, "prepared"),
            scale.fleet_rounds,
            "ms",
            "at most",
            LIMIT,
        )
        defaults = side_by_side(
            "CPU per host investigated (bare: asyncssh's defaults)",
            lambda: _ours_ms(ours, hosts),
            lambda: _bare_ms(hosts),
            scale.fleet_rounds,
            "ms",
            "for comparison",
        )
        figures = [asyncssh, defaults]
        directory = ground.new_directory("ansible")
        if ansible.installed() and ansible.give_python(hosts):
            figures.append(
                side_by_side(
                    "CPU per host investigated (bare: ansible -m setup)",
                    lambda: _ours_ms(ours, hosts),
                    lambda: _ansible_ms(directory, hosts),
                    scale.fleet_rounds,
                    "ms",
                    "for comparison",
                )
            )
    return figures


def _ours_ms(ours: Ours, hosts: list[Host]) -> float:
    """CPU of the service's process from the first PUT until all hosts are set up, per host."""
    begin, log = cpu_seconds(ours.pid), len(ours.read_log())
    with ThreadPoolExecutor(CLIENTS) as clients:
        for answer in clients.map(ours.register, hosts):
            answer.raise_for_status()

    def all_set_up() -> bool:
        return ours.read_log(log).count('"type":"host.bootstrapped"') == len(hosts)

    wait_for(all_set_up, SETTLE_TIMEOUT_S)
    time.sleep(QUIET_S)
    taken = cpu_seconds(ours.pid) - begin
    for host in hosts:
        ours.client.delete(f"/host/{host.address}").raise_for_status()
    return taken * MS_PER_S / len(hosts)


def _bare_ms(hosts: list[Host], *how: str) -> float:
    """CPU of a process that does nothing else, without its start, per host."""
    targets = [[host.address, host.port, host.user, host.private_key.decode()] for host in hosts]
    done = subprocess.run(
        pinned(SERVER_CPU, [sys.executable, "-m", "bench.anchors.bare_ssh", *how]),
        input=json.dumps(targets),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=BARE_TIMEOUT_S,
    )
    return float(done.stdout) * MS_PER_S / len(hosts)


def _ansible_ms(directory: Path, hosts: list[Host]) -> float:
    before = children_seconds()
    ansible.setup(directory, hosts, pinned_to=SERVER_CPU)
    return (children_seconds() - before) * MS_PER_S / len(hosts)
