"""`make demo`: five hosts of different systems become active before your eyes.

They are real sshd processes (see the package), the service is a process of its own in a
temporary data directory, and everything is done over HTTP, printed as the curl command that
does the same. Exits with 0 only if all five are active at the end.
"""

import base64
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.fleet import Fleet, FleetError, Host
from tests.service import Service

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
REQUEST_TIMEOUT_S = 10.0
POLL_S = 0.1
STYLES = {"active": "green", "failed": "red"}
COLUMNS = ("address", "status", "os", "cpus", "memory", "space", "last_check")


@dataclass
class Operator:
    """Somebody with an HTTP client who shows what they do."""

    http: httpx.Client
    console: Console

    def put(self, path: str, body: dict[str, object], shown: dict[str, object]) -> None:
        """PUT, printed as a curl command with the body as `shown`; raises on a refusal."""
        words = json.dumps(shown, ensure_ascii=False)
        url = str(self.http.base_url).rstrip("/") + path
        self._print(f"$ curl -u admin:$PASSWORD -X PUT {url} -d '{words}'", "bold")
        answer = self.http.put(path, json=body)
        self._print(f"  {answer.status_code} {answer.text}", "dim")
        answer.raise_for_status()

    def get(self, path: str) -> Any:  # JSON
        """What a GET answers; raises on a refusal."""
        answer = self.http.get(path)
        answer.raise_for_status()
        return answer.json()

    def _print(self, line: str, style: str) -> None:
        self.console.print(Text(line, style), soft_wrap=True)


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
        operator = Operator(service.client, console)
        operator.put(f"/cluster/{CLUSTER}", {}, {})
        for host in hosts:
            _register(operator, host)
        all_active = _watch(operator, hosts)
        console.print(_table(operator.get("/hosts")))
        stopped_well = service.stop() == 0
    return 0 if all_active and stopped_well else 1


def _register(operator: Operator, host: Host) -> None:
    shown: dict[str, object] = {"cluster": CLUSTER, "remote_user": host.user}
    if host.port != 22:
        shown["ssh_port"] = host.port
    key = base64.b64encode(host.private_key).decode()
    # Not the key itself: it is a secret, also here. The shell would put it between the quotes.
    shown["ssh_priv_key"] = f"'$(base64 -w0 {host.name}.key)'"
    operator.put(f"/host/{host.address}", {**shown, "ssh_priv_key": key}, shown)


def _watch(operator: Operator, hosts: list[Host]) -> bool:
    """Print each status as it changes; True once all are active, False after the limit."""
    last: dict[str, str] = {}
    deadline = time.monotonic() + ACTIVE_TIMEOUT_S
    while time.monotonic() < deadline:
        for host in hosts:
            path = f"/host/{host.address}/status"
            status = operator.get(path)["host"]["status"]
            if last.get(host.address) != status:
                last[host.address] = status
                line = Text(f"  {host.name:9} {host.address:15} ")
                line.append(status, STYLES.get(status, "yellow"))
                operator.console.print(line)
        if set(last.values()) == {"active"}:
            return True
        time.sleep(POLL_S)
    return False


def _table(records: list[dict[str, object]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))  # fits into 80 columns
    for column in COLUMNS:
        table.add_column(column, no_wrap=True)
    for record in records:
        cells = [Text(str(record[column])) for column in COLUMNS]
        cells[1].stylize(STYLES.get(str(record["status"]), "yellow"))
        table.add_row(*cells)
    return table
