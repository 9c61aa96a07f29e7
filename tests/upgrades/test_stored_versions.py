"""A data directory that an older version left, as this version serves it: on each engine.

`stored` was made by `make.py`, whose `COMMIT` says by which version. Whoever reads the secrets in
it can do nothing with them: its master key opens keys of hosts that were gone when it was kept,
and its passwords and tokens log in to no service but that of this test.
"""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx
import psycopg
import pytest

from tests.end_to_end.test_rebuilding import UNWATCHED, command
from tests.faults.models.whole import database_of, must_be_whole
from tests.support.service import Service, wait_for
from tests.upgrades.filling import ADDRESSES, SILENT, TOKENS
from tests.upgrades.make import STORED

OF_NOW = ("last_check",)
"""What a heartbeat says beside the log."""
V0 = ("/cluster", "/host", "/network", "/containermanager")
"""What has exactly the keys that it had; other records have more than they had."""


class Stored:
    """The directory of one engine, and what its version answered."""

    def __init__(self, directory: Path, engine: str, url: str, *flags: str) -> None:
        self.kept = STORED / engine
        known = json.loads(gzip.decompress((self.kept / "told.json.gz").read_bytes()))
        self.told: dict[str, Any] = known["told"]
        self.keys: dict[str, str] = known["keys"]
        self.tokens: dict[str, str] = known["tokens"]
        self.service = Service(directory, url, *UNWATCHED, *flags, named=False)
        self.service.password = known["password"]
        for name in ("users.json", "tokens.json", "master.key"):
            copyfile(self.kept / name, self.service.data / name)
        (self.service.data / "master.key").chmod(0o600)
        script = gzip.decompress((self.kept / "database.sql.gz").read_bytes())
        if engine == "postgresql":
            with psycopg.connect(url) as connection:
                connection.execute(script)
        else:
            database = sqlite3.connect(self.service.data / "commissaire.db")
            with closing(database):
                database.executescript(script.decode())


@pytest.fixture
def stored(tmp_path: Path, engine: str, database_url: str) -> Stored:
    """What the version before left; nothing serves it yet."""
    return Stored(tmp_path / "service", engine, database_url)


def test_what_the_version_before_answered_is_answered_still(
    tmp_path: Path, engine: str, database_url: str
) -> None:
    stored = Stored(tmp_path / "service", engine, database_url, "--no-runners")
    with stored.service as service:
        wait_for(lambda: all_current(service))
        for path, then in stored.told.items():
            now = service.client.get(path).json()
            if "/history" in path or "/events" in path:
                now = now[: len(then)]
            elif path.startswith(V0):
                assert same(then, now) and same(now, then), path
            assert same(then, now), path
        wait_for(lambda: has_its_tree(service))
        for address, key in stored.keys.items():
            creds = service.client.get(f"/host/{address}/creds").json()
            assert creds["ssh_priv_key"] == key


def test_the_accounts_of_its_files_log_in_and_are_in_the_database(stored: Stored) -> None:
    with stored.service as service:
        for user, status in (("admin", 201), ("operator", 201), ("viewer", 403)):
            with service.client_as(user) as client:
                assert client.get("/me").json()["role"] == user
                assert client.put("/cluster/new").status_code == status
        url = f"{service.url}/api/v0"
        for name, (role, end) in TOKENS.items():
            headers = {"Authorization": f"Bearer {stored.tokens[name]}"}
            answer = httpx.get(f"{url}/me", headers=headers)
            assert answer.status_code == (200 if end is None else 403)
            assert end is not None or answer.json()["role"] == role
        assert [user["kept_in"] for user in service.client.get("/users").json()] == ["database"] * 3
        assert [token["name"] for token in service.client.get("/tokens").json()] == sorted(TOKENS)
        assert not {"users.json", "tokens.json"} & {file.name for file in service.data.iterdir()}


def test_what_is_new_is_known_of_its_hosts_and_its_operations_go_on(
    stored: Stored, database_url: str
) -> None:
    with stored.service as service:
        client = service.client
        wait_for(lambda: all_current(service))
        hosts = {host["address"]: host for host in client.get("/fleet/hosts").json()}
        assert list(hosts) == [*ADDRESSES[:4], SILENT]
        assert [hosts[address]["cluster"] for address in ADDRESSES[:4]] == [
            "web",
            "web",
            "db",
            None,
        ]
        assert hosts[SILENT]["kind"] == "unreachable"
        assert client.get("/fleet").json()["hosts"]["total"] == 5
        assert client.get("/fleet/facets?cluster=web").json()["total"] == 2
        labels = client.put(f"/host/{ADDRESSES[0]}/labels", json={"role": "db"})
        assert labels.is_success, labels.text
        assert client.get("/fleet/facets?label=role%3Ddb").json()["total"] == 1
        (paused,) = client.get("/operations?status=paused").json()
        path = f"/operation/{paused['id']}"
        assert client.put(f"{path}/state", json={"state": "in_process"}).status_code == 201
        wait_for(lambda: client.get(path).json()["counts"]["in_process"] == 1)
    assert command(service, "verify")[0] == 0
    service.tool("log", "check")  # which must end with 0
    must_be_whole(database_of(service, database_url))


def all_current(service: Service) -> bool:
    """Whether every read model was made by this version."""
    return command(service, "status")[0] == 0


def same(then: Any, now: Any) -> bool:
    """Whether a JSON value says all that it said then, and perhaps more, but for `OF_NOW`."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(
            key in now and same(value, now[key]) for key, value in then.items() if key not in OF_NOW
        )
    if isinstance(then, list):
        return len(then) == len(now) and all(map(same, then, now))
    return bool(then == now)


def has_its_tree(service: Service) -> bool:
    """Its log is whole, and in a Merkle tree, up to its end."""
    found = json.loads(service.tool("log", "check", "--json"))
    assert found["wrong"] == "", found
    return bool(found["leaves"] == found["events"])
