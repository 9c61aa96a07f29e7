"""`make demo`: five hosts of different systems become active, and are restarted one by one.

They are real sshd processes (see the package), the service is a process of its own in a
temporary data directory, and everything is done over HTTP, printed as the curl command that
does the same. In the middle of the restart the service is killed and started again. Exits with 0
only if all five were active, and each was rebooted once.
"""

import base64
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.fleet import Fleet, FleetError, Host
from tests.support.service import Service, wait_for

CLUSTER = "demo"
# System and user of each host.
HOSTS = (
    ("fedora", "root"),
    ("centos", "root"),
    ("debian", "root"),
    ("ubuntu", "ops"),
    ("atomic", "root"),
)
ACTIVE_TIMEOUT_S = 60.0
RESTART_TIMEOUT_S = 120.0
RESTART = {"max_parallel": 2, "healthy_for_s": 1}
DOWNTIME_S = 1.5
STYLES = {
    "active": "green",
    "finished": "green",
    "done": "green",
    "failed": "red",
    "unknown": "red",
    "waiting": "dim",
}
OVER = ("finished", "partial", "failed", "cancelled")
COLUMNS = ("address", "status", "os", "cpus", "memory", "space", "last_check")


class Operator:
    """Somebody with an HTTP client who shows what they do."""

    def __init__(self, service: Service, console: Console) -> None:
        self._service = service
        self.console = console
        self._shown: dict[str, str] = {}

    def put(
        self, path: str, body: dict[str, object], shown: dict[str, object], key_file: str = ""
    ) -> httpx.Response:
        """PUT, printed as a curl command with the body as `shown`; raises on a refusal.

        In `shown`, `&` stands for what is in `key_file`.
        """
        words = json.dumps(shown, ensure_ascii=False)
        http = self._service.client
        call = f"curl -n -X PUT {str(http.base_url).rstrip('/')}{path}"
        if key_file:
            piped = f"base64 -w0 {key_file} | sed 's/.*/{words}/'"
            self.say(f"$ {piped} | {call} --data @-", "bold")
        else:
            self.say(f"$ {call} -d '{words}'", "bold")
        answer = http.put(path, json=body)
        self.say(f"  {answer.status_code} {answer.text}", "dim")
        answer.raise_for_status()
        return answer

    def get(self, path: str) -> Any:  # JSON
        """What a GET answers; raises on a refusal."""
        answer = self._service.client.get(path)
        answer.raise_for_status()
        return answer.json()

    def say(self, line: str, style: str = "") -> None:
        """Print a line."""
        self.console.print(Text(line, style), soft_wrap=True)

    def show(self, host: Host, state: str, more: str = "") -> None:
        """Print how a host is, where that is news."""
        if self._shown.get(host.address) != state + more:
            self._shown[host.address] = state + more
            line = Text(f"  {host.name:9} {host.address:15} ")
            line.append(state, STYLES.get(state, "yellow"))
            line.append(f" {more}" if more else "")
            self.console.print(line, soft_wrap=True)


def main() -> int:
    """The demonstration; the exit status."""
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="commissaire-demo-") as directory:
            return _demonstrate(Path(directory), console)
    except (FleetError, httpx.HTTPError, AssertionError) as error:
        console.print(Text(f"demo: {error}", "red"))
        return 1


def _demonstrate(directory: Path, console: Console) -> int:
    with Fleet(directory / "fleet") as fleet, Service(directory) as service:
        console.print(f"The service is at {service.url}. Five hosts start …", highlight=False)
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            hosts = list(pool.map(lambda host: fleet.add(host[0], user=host[1]), HOSTS))
        operator = Operator(service, console)
        operator.put(f"/cluster/{CLUSTER}", {}, {})
        for host in hosts:
            _register(operator, host)
        wait_for(lambda: _all_are_active(operator, hosts), ACTIVE_TIMEOUT_S)
        console.print(_table(operator.get("/hosts")))
        went_well = _restart(operator, service, hosts)
        stopped_well = service.stop() == 0
    return 0 if went_well and stopped_well else 1


def _register(operator: Operator, host: Host) -> None:
    shown: dict[str, object] = {"cluster": CLUSTER, "remote_user": host.user}
    if host.port != 22:
        shown["ssh_port"] = host.port
    key = base64.b64encode(host.private_key).decode()
    # Not the key itself: it is a secret, also here. sed would put it in the place of `&`.
    shown["ssh_priv_key"] = "&"
    body = {**shown, "ssh_priv_key": key}
    operator.put(f"/host/{host.address}", body, shown, f"{host.name}.key")


def _all_are_active(operator: Operator, hosts: list[Host]) -> bool:
    """Print each status that has changed."""
    statuses = [operator.get(f"/host/{host.address}/status")["host"]["status"] for host in hosts]
    for host, status in zip(hosts, statuses, strict=True):
        operator.show(host, status)
    return set(statuses) == {"active"}


def _restart(operator: Operator, service: Service, hosts: list[Host]) -> bool:
    """Roll a restart through them, with a service that dies in the middle of it."""
    for host in hosts:
        host.reboots("new", DOWNTIME_S)
    answer = operator.put(f"/cluster/{CLUSTER}/restart", dict(RESTART), dict(RESTART))
    path = answer.headers["location"].removeprefix("/api/v0")
    wait_for(lambda: _is_in_the_middle(_progress(operator, path, hosts)), RESTART_TIMEOUT_S)
    operator.say(f"$ kill -9 {service.pid}", "bold")
    service.kill()
    rebooted = [host.name for host in hosts if _reboots(host)]
    operator.say(f"  The service is dead. Rebooted so far: {', '.join(rebooted)}.", "red")
    service.start()
    operator.say(f"  It is back at {service.url}, and goes on.", "green")

    def over() -> Any:
        operation = _progress(operator, path, hosts)
        return operation if operation["status"] in OVER else None

    operation = wait_for(over, RESTART_TIMEOUT_S)
    status = operation["status"]
    operator.say(f"The restart has {status}. How often each host was told to reboot:",
                 STYLES.get(status, "red"))  # fmt: skip
    for host in hosts:
        operator.say(f"  {host.name:9} {host.address:15} {_reboots(host)}")
    return status == "finished" and all(_reboots(host) == 1 for host in hosts)


def _progress(operator: Operator, path: str, hosts: list[Host]) -> Any:
    """The operation; prints how far it has come with each host that it has come on with."""
    operation = operator.get(path)
    for host, told in zip(hosts, operation["hosts"], strict=True):
        words = told["step"] or ""
        if told["outcome"] == "done":
            proof = told["evidence"]
            words = f"boot id {proof['boot_id_before'][:8]} → {proof['boot_id_after'][:8]}"
        operator.show(host, told["outcome"], told["reason"] or words)
    return operation


def _is_in_the_middle(operation: Any) -> bool:
    outcomes = [(told["outcome"], told["step"]) for told in operation["hosts"]]
    return "done" in {outcome for outcome, _ in outcomes} and ("in_process", "reboot") in outcomes


def _reboots(host: Host) -> int:
    return host.ran.count(["systemctl", "reboot"])


def _table(records: list[dict[str, object]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))  # fits into 80 columns
    for column in COLUMNS:
        table.add_column(column, no_wrap=True)
    for record in records:
        cells = [Text(str(record[column])) for column in COLUMNS]
        cells[1].stylize(STYLES.get(str(record["status"]), "yellow"))
        table.add_row(*cells)
    return table
