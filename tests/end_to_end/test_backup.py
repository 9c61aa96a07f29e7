"""Backups that are taken while everybody writes, restored elsewhere, and used."""

import shutil
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.whole import database_of, must_be_whole
from tests.fleet import new_key
from tests.postgres import PostgresServer, find_binaries
from tests.service import Service, wait_for

WRITERS = 4
BEFORE = 40
"""Changes of each writer that were answered before the backup begins."""
LIMIT_S = 60
UNREACHABLE = "192.0.2.1"
"""Of the range for documentation (RFC 5737): nobody answers there, and nothing is sent far."""


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


def restored(service: Service, directory: Path, source: Path, url: str | None) -> Service:
    """A service elsewhere, on what was copied and the master key that was kept apart."""
    elsewhere = Service(directory, url)
    shutil.rmtree(elsewhere.data)
    shutil.copytree(source, elsewhere.data)
    shutil.copy2(service.data / "master.key", elsewhere.data)
    elsewhere.password = service.password
    return elsewhere


def must_answer_the_same(service: Service, elsewhere: Service, names: list[str]) -> None:
    """What there was before the backup began, and the key in the vault."""
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
    body = {"ssh_priv_key": b64encode(key).decode()}
    assert service.client.put(f"/host/{UNREACHABLE}", json=body).status_code == 201
    return key


def test_a_backup_under_load_has_all_that_was_answered_before_it_began(tmp_path: Path) -> None:
    with Service(tmp_path / "here") as service:
        key = register_unreachable(service)
        load, target = Load(service), tmp_path / "backups" / "today"
        with load.running():
            before = load.answered
            taken = command("backup", str(target), "--data", str(service.data))
            during = len(load.answered) - len(before)
        assert taken.returncode == 0, taken.stderr
        assert during > 0, "nobody wrote during the backup: this proves nothing"
        assert str(target) in taken.stdout
        assert sorted(path.name for path in target.iterdir()) == ["commissaire.db", "users.json"]
        assert {oct(path.stat().st_mode & 0o777) for path in target.iterdir()} == {"0o600"}
        master = (service.data / "master.key").read_bytes().strip()
        for path in target.iterdir():
            assert key not in path.read_bytes()
            assert master not in path.read_bytes()
        elsewhere = restored(service, tmp_path / "there", target, None)
        with elsewhere:
            must_answer_the_same(service, elsewhere, before)
        must_be_whole(database_of(elsewhere, "sqlite"))


def test_a_dump_of_postgresql_under_load_has_all_that_was_answered_before_it_began(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    programs = find_binaries()
    dump = tmp_path / "commissaire.dump"
    with Service(tmp_path / "here", postgres_url) as service:
        register_unreachable(service)
        load = Load(service)
        with load.running():
            before = load.answered
            subprocess.run(
                [programs / "pg_dump", "--format=custom", f"--file={dump}", postgres_url],
                check=True,
                timeout=LIMIT_S,
            )
            during = len(load.answered) - len(before)
        assert during > 0, "nobody wrote during the backup: this proves nothing"
        database = postgres_server.create_database()
        url = postgres_server.url(database)
        subprocess.run(
            [programs / "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={url}", dump],
            check=True,
            timeout=LIMIT_S,
        )
        files = tmp_path / "files"
        files.mkdir()
        shutil.copy2(service.data / "users.json", files)
        elsewhere = restored(service, tmp_path / "there", files, url)
        with elsewhere:
            must_answer_the_same(service, elsewhere, before)
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
