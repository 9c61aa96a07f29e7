"""Checks of hosts that are set up: how many for a second of CPU, and 5,000 hosts in an interval."""

import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice

import asyncssh

from bench.figure import Figure, Scale, side_by_side
from bench.ground import Ground
from bench.processes import LOAD_CPU, SERVER_CPU, Ours, cpu_seconds, pinned, resident_mb
from tests.support.service import wait_for

HOSTS = 5000
PORT = 2222
INTERVAL_S = 60
SHORT_INTERVAL_S = 5
"""For the rate: so many hosts that the checks of one interval take a good part of it."""
RATED_HOSTS = 200
KEPT = ("--ssh-kept", str(RATED_HOSTS))
LIMIT = 3.0
CLIENTS = 16
SETTLE_TIMEOUT_S = 900.0
BARE_TIMEOUT_S = 120.0
FAILURES = re.compile(r"^commissaire_ssh_failures_total\{[^}]*\} (\S+)$", re.MULTILINE)
CHECKS = re.compile(
    r'^commissaire_ssh_(?:sessions_total|kept_used_total\{outcome="answered"\}) (\S+)$',
    re.MULTILINE,
)
"""Nothing but checks goes on: each logs in, or is answered over a kept connection."""


def rate(ground: Ground, scale: Scale) -> list[Figure]:
    """Checks for a second of CPU, against asyncssh that connects and runs the same script."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    addresses = list(islice(_addresses(), RATED_HOSTS))
    flags = ("--check-interval", str(SHORT_INTERVAL_S), "--ssh-parallel", "32", *KEPT)
    with _played(addresses, key), ground.ours(None, *flags) as ours:
        _set_up(ours, addresses, key)
        return [
            side_by_side(
                "checks for a second of CPU, kept connections (bare: asyncssh prepared)",
                lambda: _ours(ours),
                lambda: _bare(addresses, key, "prepared"),
                scale.fleet_rounds,
                "/s",
                "at least",
                LIMIT,
            ),
            side_by_side(
                "checks for a second of CPU, kept connections (bare: its defaults)",
                lambda: _ours(ours),
                lambda: _bare(addresses, key),
                scale.fleet_rounds,
                "/s",
                "for comparison",
            ),
        ]


def fleet(ground: Ground, scale: Scale) -> list[Figure]:
    """5,000 hosts: all are checked within one interval; CPU and memory of the one process."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    addresses = list(islice(_addresses(), HOSTS))
    flags = ("--check-interval", str(INTERVAL_S), "--ssh-parallel", "64")
    with _played(addresses, key), ground.ours(None, *flags) as ours:
        idle = resident_mb(ours.pid)
        _set_up(ours, addresses, key)
        time.sleep(INTERVAL_S)  # whose first checks were spread anew
        before, begin, failed = _last_checks(ours), cpu_seconds(ours.pid), _counted(ours, FAILURES)
        time.sleep(INTERVAL_S)
        share = (cpu_seconds(ours.pid) - begin) / INTERVAL_S
        time.sleep(2 * _WRITTEN_S)
        after = _last_checks(ours)
        memory, failed = resident_mb(ours.pid), _counted(ours, FAILURES) - failed
    checked = sum(after[address] > before[address] for address in addresses)
    name = f"{HOSTS} hosts, interval of {INTERVAL_S} s:"
    return [
        Figure(f"{name} checked in it", checked, HOSTS, checked / HOSTS, "", "at least", 1.0),
        Figure(f"{name} checks that met no answer", failed, 0, 1.0, "", "for comparison"),
        Figure(f"{name} share of a core", share, 1.0, share, "", "for comparison"),
        Figure(f"{name} memory", memory, idle, memory / idle, "MB", "for comparison"),
    ]


_WRITTEN_S = 5.0
"""`WRITE_EVERY_S` of runners/hosts/heartbeats.py: only then GET shows a check."""


def _addresses() -> Iterator[str]:
    for third in range(256):
        for fourth in range(1, 255):
            yield f"127.66.{third}.{fourth}"


@contextmanager
def _played(addresses: Sequence[str], key: asyncssh.SSHKey) -> Iterator[None]:
    asked = {
        "addresses": addresses,
        "port": PORT,
        "public_key": key.export_public_key().decode(),
    }
    with subprocess.Popen(
        pinned(LOAD_CPU, [sys.executable, "-m", "bench.anchors.played_hosts"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asked))
            process.stdin.close()
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


def _set_up(ours: Ours, addresses: Sequence[str], key: asyncssh.SSHKey) -> None:
    body = {
        "ssh_priv_key": base64.b64encode(key.export_private_key()).decode(),
        "ssh_port": PORT,
    }

    def register(address: str) -> None:
        ours.client.put(f"/host/{address}", json=body).raise_for_status()

    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in clients.map(register, addresses):
            pass

    def settled() -> bool:
        time.sleep(0.5)
        found = ours.client.get("/hosts", params={"status": "disassociated"}).json()
        return len(found) == len(addresses)

    wait_for(settled, SETTLE_TIMEOUT_S)


def _ours(ours: Ours) -> float:
    """Checks for a second of CPU, over two intervals."""
    begin, checked = cpu_seconds(ours.pid), _counted(ours, CHECKS)
    time.sleep(2 * SHORT_INTERVAL_S)
    taken = cpu_seconds(ours.pid) - begin
    return (_counted(ours, CHECKS) - checked) / taken


def _bare(addresses: Sequence[str], key: asyncssh.SSHKey, *how: str) -> float:
    targets = [[address, PORT, "root", key.export_private_key().decode()] for address in addresses]
    done = subprocess.run(
        pinned(SERVER_CPU, [sys.executable, "-m", "bench.anchors.bare_ssh", *how]),
        input=json.dumps(targets),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=BARE_TIMEOUT_S,
    )
    return len(addresses) / float(done.stdout)


def _last_checks(ours: Ours) -> dict[str, str]:
    records = ours.client.get("/hosts").json()
    return {record["address"]: record["last_check"] for record in records}


def _counted(ours: Ours, figures: re.Pattern[str]) -> int:
    text = ours.client.get(f"{ours.url}/metrics").text
    return sum(int(float(number)) for number in figures.findall(text))
