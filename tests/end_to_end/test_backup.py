"""Backups that are taken while everybody writes, restored elsewhere, and used."""

import shutil
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.docs.documents import OPERATING, section, shell
from tests.faults.models.whole import database_of, must_be_whole
from tests.fleet import new_key
from tests.support.postgres import PostgresServer, find_binaries
from tests.support.service import Service, wait_for

WRITERS = 4
BEFORE = 40
"""Changes of each writer that were answered before the backup begins."""
LIMIT_S = 60
MONDAY = "/var/backups/commissaire/monday"
BACKUPS = "/var/backups/commissaire"
UNREACHABLE, CLOSED_PORT = "127.0.0.9", 9
"""Of this machine; nobody listens on the port of `discard`."""


class Load:
    """Clients that change something all the time; what was answered is known."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answered: list[list[str]] = [[] for _ in range(WRITERS)]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(i,)) for i in range(WRITERS)]

    @property
    def answered(self) -> list[str]:
        """The clusters that were created so far."""
        return [name for names in self._answered for name in names]

    @contextmanager
    def running(self) -> Iterator[None]:
        """While the block runs."""
        for thread in self._threads:
            thread.start()
        try:
            wait_for(lambda: min(map(len, self._answered)) >= BEFORE, LIMIT_S)
            yield
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join(LIMIT_S)

    def _write(self, writer: int) -> None:
        with self._service.client_as("operator") as client:
            number = 0
            while not self._stopping.is_set():
                name = f"c{writer}-{number}"
                assert client.put(f"/cluster/{name}").status_code == 201
                self._answered[writer].append(name)
                number += 1


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "runners.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def documented(heading: str, number: int, places: Mapping[str, Path], **environment: str) -> None:
    """Run a block of commands of `docs/operating.md`, with our places in place of its own."""
    script = shell(section(OPERATING, heading))[number]
    for theirs, ours in places.items():
        script = script.replace(theirs, str(ours))
    # There is no such user here.
    for words, instead in (
        ("chown -R commissaire:", ": chown"),
        (" -o commissaire -g commissaire", ""),
        ("runuser -u commissaire -- ", ""),
    ):
        script = script.replace(words, instead)
    path = f"{Path(sys.executable).parent}:{find_binaries()}:/usr/bin:/bin"
    subprocess.run(
        ["/bin/sh", "-euc", script], check=True, timeout=LIMIT_S, env={"PATH": path, **environment}
    )


def make_token(service: Service) -> str:
    """A token, which is in the database as users are."""
    return service.tool("token", "create", "ci", "--role", "viewer")


def elsewhere_of(service: Service, directory: Path, url: str | None) -> Service:
    """A service that is not started, with nothing in its data directory."""
    elsewhere = Service(directory, url, named=False)
    shutil.rmtree(elsewhere.data)
    elsewhere.password = service.password
    return elsewhere


def must_answer_the_same(
    service: Service, elsewhere: Service, names: list[str], token: str
) -> None:
    """What there was before the backup began, the key in the vault, and who may log in."""
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{elsewhere.url}/api/v0/hosts", headers=bearer).status_code == 200
    there = set(elsewhere.client.get("/clusters").json())
    assert set(names) <= there
    for name in names[::10]:
        ours, theirs = (s.client.get(f"/cluster/{name}") for s in (service, elsewhere))
        assert (ours.content, ours.headers["etag"]) == (theirs.content, theirs.headers["etag"])
    kept = elsewhere.client.get(f"/host/{UNREACHABLE}/creds").json()
    assert kept == service.client.get(f"/host/{UNREACHABLE}/creds").json()
    assert httpx.get(f"{elsewhere.url}/readyz").status_code == 200
    assert elsewhere.client.put("/cluster/after-the-restore").status_code == 201


def register_unreachable(service: Service) -> bytes:
    key = new_key().private
    body = {"ssh_priv_key": b64encode(key).decode(), "ssh_port": CLOSED_PORT}
    assert service.client.put(f"/host/{UNREACHABLE}", json=body).status_code == 201
    return key


def test_a_backup_under_load_has_all_that_was_answered_before_it_began(tmp_path: Path) -> None:
    target = tmp_path / "backups" / "monday"
    apart = {"/root/commissaire-master.key": tmp_path / "apart"}
    with Service(tmp_path / "here", named=False) as service:
        here = (
            apart
            | {"/var/lib/commissaire-service": service.data}
            | {MONDAY: target, BACKUPS: target.parent}
        )
        key, token = register_unreachable(service), make_token(service)
        load = Load(service)
        with load.running():
            before = load.answered
            documented("## Backup", 0, here)
            documented("## Backup", 1, here)
            during = len(load.answered) - len(before)
        assert during > 0, "nobody wrote during the backup: this proves nothing"
        copied = sorted(target.iterdir())
        assert [p.name for p in copied] == ["commissaire.db"]
        assert {oct(path.stat().st_mode & 0o777) for path in copied} == {"0o600"}
        master = (service.data / "master.key").read_bytes().strip()
        for path in copied:
            assert key not in path.read_bytes()
            assert master not in path.read_bytes()
        elsewhere = elsewhere_of(service, tmp_path / "there", None)
        documented("## Restore", 0, here | {"/var/lib/commissaire-service": elsewhere.data})
        with elsewhere:
            must_answer_the_same(service, elsewhere, before, token)
        must_be_whole(database_of(elsewhere, "sqlite"))


def test_a_dump_of_postgresql_under_load_has_all_that_was_answered_before_it_began(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    apart = {
        "/root/commissaire-master.key": tmp_path / "apart",
        "commissaire.dump": tmp_path / "commissaire.dump",
    }
    with Service(tmp_path / "here", postgres_url, named=False) as service:
        here = apart | {"/var/lib/commissaire-service": service.data}
        register_unreachable(service)
        token, load = make_token(service), Load(service)
        with load.running():
            before = load.answered
            documented("## Backup", 0, here)
            documented("## Backup", 2, here, COMMISSAIRE_DATABASE=postgres_url)
            during = len(load.answered) - len(before)
        assert during > 0, "nobody wrote during the backup: this proves nothing"
        database = postgres_server.create_database()
        url = postgres_server.url(database)
        elsewhere = elsewhere_of(service, tmp_path / "there", url)
        there = apart | {"/var/lib/commissaire-service": elsewhere.data}
        documented("## Restore", 1, there, COMMISSAIRE_DATABASE=url)
        with elsewhere:
            must_answer_the_same(service, elsewhere, before, token)
        must_be_whole(url)
        postgres_server.drop_database(database)


def test_a_backup_without_its_master_key_tells_nothing_and_does_not_start(tmp_path: Path) -> None:
    with Service(tmp_path / "here") as service:
        key = register_unreachable(service)
        target = tmp_path / "backup"
        assert command("backup", str(target), "--data", str(service.data)).returncode == 0
        kept = service.client.get(f"/host/{UNREACHABLE}/creds").json()["ssh_priv_key"]
        assert b64decode(kept) == key
    refused = command("serve", "--data", str(target), "--port", "0")
    assert refused.returncode == 2
    assert "master key" in refused.stderr
    assert "put it back" in refused.stderr
    assert not (target / "master.key").exists()


def test_a_backup_writes_over_nothing_and_leaves_nothing_half(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    target.mkdir()
    refused = command("backup", str(target), "--data", str(tmp_path))
    assert refused.returncode == 1
    assert "is there already" in refused.stderr
    nowhere = command("backup", str(tmp_path / "other"), "--data", str(tmp_path / "no"))
    assert nowhere.returncode == 1
    assert "There is no database" in nowhere.stderr
    (tmp_path / "commissaire.db").write_bytes(b"SQLite format 3\0 and then nothing of the kind")
    broken = command("backup", str(tmp_path / "other"), "--data", str(tmp_path))
    assert broken.returncode == 1
    assert "cannot be copied" in broken.stderr
    assert "Traceback" not in refused.stderr + nowhere.stderr + broken.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "commissaire.db"]


def test_a_backup_of_postgresql_is_for_pg_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMISSAIRE_DATABASE", "postgresql://ada:hidden-word@db/fleet")
    refused = command("backup", str(tmp_path / "backup"))
    assert refused.returncode == 1
    assert "pg_dump" in refused.stderr
    assert "hidden-word" not in refused.stderr
