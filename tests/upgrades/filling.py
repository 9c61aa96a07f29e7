"""Run in a worktree of an older version, by `make.py`: fills a data directory, and keeps it.

Only what the tests of that version have is imported. Every secret is made up here and now: keys of
hosts that live as long as this process, passwords and tokens of a service that is never reached.
"""

import gzip
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from runners.security.tokens import TokensFile
from tests.fleet import Fleet
from tests.support.service import Service, wait_for

ADDRESSES = tuple(f"127.0.77.{number}" for number in range(1, 6))
"""No fleet of the tests takes one of these: a host of another test never stands in for one."""
SSH_PORT = 9022
SILENT = "127.0.77.9"
QUICK = (
    *("--retry-pause-s", "0.5", "--retry-pause-max-s", "2"),
    *("--investigation-attempts", "1", "--check-interval", "2"),
)
OVER = ("finished", "partial", "failed", "cancelled")
TOKENS: dict[str, tuple[Literal["operator", "viewer"], datetime | None]] = {
    "ci": ("operator", None),
    "old": ("viewer", datetime(2020, 1, 2, tzinfo=UTC)),
}
LIMIT_S = 120


def main(directory: Path, stored: Path, url: str | None) -> None:
    """Fill a directory and, where one is named, a database; keep both."""
    service = Service(directory, url, *QUICK, warm=False)
    tokens = TokensFile(service.data / "tokens.json")
    made = datetime.now(UTC).replace(microsecond=0)
    texts = {name: tokens.create(name, role, made, end) for name, (role, end) in TOKENS.items()}
    with Fleet(directory / "fleet") as fleet, service:
        keys = live(service, fleet)
        told = {path: service.client.get(path).json() for path in paths(service)}
        service.kill()  # as a crash: it has no time to leave anything tidy
    stored.mkdir(parents=True, exist_ok=True)
    for name in ("users.json", "tokens.json", "master.key"):
        shutil.copyfile(service.data / name, stored / name)
    known = {"password": service.password, "tokens": texts, "keys": keys, "told": told}
    keep(stored / "told.json.gz", json.dumps(known, indent=1, sort_keys=True))
    keep(stored / "database.sql.gz", dumped(service.data / "commissaire.db", url))


def live(service: Service, fleet: Fleet) -> dict[str, str]:
    """What happens to a small fleet in a month, in short; gives the keys of its hosts."""
    put(service, "/network/back", {"type": "flannel_server", "options": {"address": "10.0.0.1:80"}})
    put(service, "/containermanager/trial", {"type": "trivial"})
    put(service, "/cluster/web", {"network": "back", "container_manager": "trial"})
    put(service, "/cluster/db", {})
    put(service, "/cluster/gone", {})
    systems = ("fedora", "debian", "fedora", "centos", "debian")
    hosts = [
        fleet.add(system, address=address, port=SSH_PORT)
        for system, address in zip(systems, ADDRESSES, strict=True)
    ]
    for host, cluster in zip(hosts, ("web", "web", "db", "", ""), strict=True):
        assert service.register(host, **({"cluster": cluster} if cluster else {})).is_success
    for host, status in zip(hosts, ("active",) * 3 + ("disassociated",) * 2, strict=True):
        service.wait_for_status(host.address, status)
    for path in (f"/host/{ADDRESSES[4]}", "/cluster/gone"):
        service.client.delete(path).raise_for_status()
    put(service, f"/host/{SILENT}", {"ssh_priv_key": key_of(service, ADDRESSES[0]), "ssh_port": 1})
    service.wait_for_status(SILENT, "failed")
    over(service, "/cluster/web/upgrade", {})
    over(service, "/cluster/web/restart", {"max_parallel": "50%"})
    over(service, "/cluster/db/deploy", {"version": "27.93"})
    fleet.remove(hosts[2])
    service.wait_for_status(ADDRESSES[2], "failed")
    over(service, "/cluster/db/upgrade", {})
    name = begun(service, "/cluster/web/upgrade", {"step_timeout_s": 3600, "max_parallel": 1})
    put(service, f"/operation/{name}/state", {"state": "paused"})
    wait_for(lambda: service.client.get(f"/operation/{name}").json()["counts"]["in_process"] == 0)
    return {address: key_of(service, address) for address in (*ADDRESSES[:4], SILENT)}


def put(service: Service, path: str, body: dict[str, Any]) -> None:
    """A PUT that is well."""
    answer = service.client.put(path, json=body)
    assert answer.is_success, answer.text


def key_of(service: Service, address: str) -> str:
    """The private key of a host, as `/creds` tells it."""
    return str(service.client.get(f"/host/{address}/creds").json()["ssh_priv_key"])


def begun(service: Service, path: str, body: dict[str, Any]) -> str:
    """Begin an operation; gives its id."""
    answer = service.client.put(path, json=body)
    assert answer.is_success, answer.text
    return str(answer.headers["location"].rpartition("/")[2])


def over(service: Service, path: str, body: dict[str, Any]) -> None:
    """An operation from its beginning to its end."""
    name = begun(service, path, body)
    wait_for(lambda: service.client.get(f"/operation/{name}").json()["status"] in OVER, LIMIT_S)


def paths(service: Service) -> Iterator[str]:
    """All that GET tells of the fleet and its past."""
    client = service.client
    yield from ("/clusters", "/hosts", "/networks", "/containermanagers", "/operations")
    yield "/events?limit=1000"
    for cluster in client.get("/clusters").json():
        for more in ("", "/hosts", "/deploy", "/upgrade", "/restart", "/history"):
            if client.get(f"/cluster/{cluster}{more}").is_success:
                yield f"/cluster/{cluster}{more}"
    for host in client.get("/hosts").json():
        for more in ("", "/status", "/hostkey", "/history"):
            yield f"/host/{host['address']}{more}"
    yield f"/host/{ADDRESSES[4]}/history"
    for operation in client.get("/operations").json():
        yield f"/operation/{operation['id']}"


def dumped(file: Path, url: str | None) -> str:
    """A database in SQL."""
    if url is None:
        database = sqlite3.connect(file)
        return "\n".join(database.iterdump())
    command = ("pg_dump", "--inserts", "--no-owner", "--no-privileges", url)
    dump = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    # Settings of the session, and commands of psql: neither is part of what was stored.
    passed_over = ("SET ", "SELECT pg_catalog.set_config(", "\\")
    return "\n".join(line for line in dump.stdout.split("\n") if not line.startswith(passed_over))


def keep(file: Path, text: str) -> None:
    """Write it compressed; the same text gives the same bytes."""
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
