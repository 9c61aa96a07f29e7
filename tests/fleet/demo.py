"""`make demo`: five hosts of different systems become active, and are restarted two at a time.

They are real sshd processes (see the package), the service is a process of its own in a
temporary data directory, and everything is done by `commctl`, as an operator types it. In the
middle of the restart the service is killed and started again. Exits with 0 only if all five were
active, the restart has finished, and each was rebooted once.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.fleet import Fleet, FleetError, Host
from tests.support.service import Service

CLUSTER = "demo"
# System and user of each host.
HOSTS = (
    ("fedora", "root"),
    ("centos", "root"),
    ("debian", "root"),
    ("ubuntu", "ops"),
    ("atomic", "root"),
)
COMMAND_TIMEOUT_S = 120.0
DOWNTIME_S = 1.5
SSH_PORT = 22
RESTART = ("restart", CLUSTER, "-P", "2", "--healthy", "1s", "-y")


class Operator:
    """Somebody at a shell in a directory of their own, who may read the service's data."""

    def __init__(self, directory: Path, service: Service, console: Console) -> None:
        self.directory = directory
        self.console = console
        # Nothing of the user's own home has a say here.
        self._environment = {
            **os.environ, "HOME": str(directory), "COMMCTL_DATA": str(service.data),
        }  # fmt: skip

    def run(self, *words: str) -> None:
        """Run `commctl`, shown as it is typed, with what it prints; raises where it fails."""
        with self.running(*words) as lines:
            for line in lines:
                self.say(f"  {line}")

    @contextmanager
    def running(self, *words: str) -> Iterator[Iterator[str]]:
        """The same, for somebody who reads line by line and does other things meanwhile."""
        self.say(f"$ commctl {' '.join(words)}", "bold")
        with subprocess.Popen(
            [sys.executable, "-m", "commctl", *words],
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout
            try:
                yield (line.rstrip("\n").replace("\t", "  ") for line in process.stdout)
                status = process.wait(COMMAND_TIMEOUT_S)
            finally:
                process.kill()
        if status:
            raise FleetError(f"commctl {words[0]} ended with {status}")

    def say(self, line: str, style: str = "") -> None:
        """Print a line."""
        self.console.print(Text(line, style), soft_wrap=True)


def main() -> int:
    """The demonstration; the exit status."""
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="commissaire-demo-") as directory:
            return _demonstrate(Path(directory), console)
    except (FleetError, AssertionError, subprocess.TimeoutExpired) as error:
        console.print(Text(f"demo: {error}", "red"))
        return 1


def _demonstrate(directory: Path, console: Console) -> int:
    with Fleet(directory / "fleet") as fleet, Service(directory) as service:
        console.print(f"The service is at {service.url}. Five hosts start …", highlight=False)
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            hosts = list(pool.map(lambda host: fleet.add(host[0], user=host[1]), HOSTS))
        operator = Operator(directory, service, console)
        operator.run("cluster", "create", CLUSTER)
        for host in hosts:
            _register(operator, host)
        operator.run("host", "check", "-c", CLUSTER, "-o", "table")
        went_well = _restart(operator, service, hosts)
        operator.run("status", "-o", "table")
        stopped_well = service.stop() == 0
    return 0 if went_well and stopped_well else 1


def _register(operator: Operator, host: Host) -> None:
    key = operator.directory / f"{host.name}.key"
    key.touch(mode=0o600)
    key.write_bytes(host.private_key)
    more = [] if host.user == "root" else ["-u", host.user]
    more += [] if host.port == SSH_PORT else ["-p", str(host.port)]
    operator.run("host", "add", host.address, "-k", key.name, *more, "-c", CLUSTER)


def _restart(operator: Operator, service: Service, hosts: list[Host]) -> bool:
    """Roll a restart through them, with a service that dies in the middle of it."""
    for host in hosts:
        host.reboots("new", DOWNTIME_S)
    names = {host.address: f"{host.name:9} {host.address}" for host in hosts}
    done = killed = False
    with operator.running(*RESTART) as lines:
        for line in lines:
            for address, name in names.items():
                line = line.replace(address, name)  # noqa: PLW2901 - the same line, for people
            operator.say(f"  {line}")
            done = done or line.rstrip().endswith("done")
            if done and not killed and line.rstrip().endswith("reboot requested"):
                killed = True
                _kill_and_start(operator, service, hosts)
    operator.say("The restart has finished. How often each host was told to reboot:", "green")
    for host in hosts:
        operator.say(f"  {host.name:9} {host.address:15} {_reboots(host)}")
    return killed and all(_reboots(host) == 1 for host in hosts)


def _kill_and_start(operator: Operator, service: Service, hosts: list[Host]) -> None:
    operator.say(f"$ kill -9 {service.pid}", "bold")
    service.kill()
    rebooted = [host.name for host in hosts if _reboots(host)]
    operator.say(f"  The service is dead. Rebooted so far: {', '.join(rebooted)}.", "red")
    service.start()
    operator.say(f"  It is back at {service.url}, and goes on; so does the watch.", "green")


def _reboots(host: Host) -> int:
    return host.ran.count(["systemctl", "reboot"])
