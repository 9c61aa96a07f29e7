"""Private keys are nowhere to be found but in the vault, and nowhere at all once destroyed."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncssh import import_private_key

from domain.log.engines.postgres import PostgresEngine
from domain.log.engines.sqlite import SQLiteEngine
from tests.end_to_end.conftest import QUICK
from tests.fleet import Fleet
from tests.support.postgres import find_binaries
from tests.support.service import Service

CHUNK = 24
"""A run of so many bytes of a key counts as a leak."""


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """One that is started by its command line, which anybody may see."""
    with Service(tmp_path / "service", database_url, *QUICK, warm=False) as running:
        yield running


def traces(private_key: bytes) -> list[bytes]:
    """What would give a key away: pieces of its text, of its base64, and the number itself."""
    body = b"".join(private_key.splitlines()[1:-1])
    pieces = [body[i : i + CHUNK] for i in range(CHUNK * 4, len(body) - CHUNK, CHUNK)]
    for shift in range(3):
        encoded = base64.b64encode(private_key[shift:])
        pieces += [encoded[i : i + CHUNK] for i in range(120, len(encoded) - CHUNK, CHUNK)]
    secret: Any = import_private_key(private_key).pyca_key
    return [*pieces, secret.private_bytes_raw()]


def places(service: Service, database_url: str) -> Iterator[tuple[str, bytes]]:
    """Everything that the service writes to, and what anybody sees of its processes."""
    for path in service.data.parent.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
    for path in (Path("/proc") / str(service.pid) / name for name in ("cmdline", "environ")):
        yield str(path), path.read_bytes()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield str(path), path.read_bytes()
        except OSError:
            continue  # it ended meanwhile
    if database_url.startswith("postgresql"):
        dump = [str(find_binaries() / "pg_dump"), "--inserts", database_url]
        yield "pg_dump", subprocess.run(dump, check=True, capture_output=True).stdout


def assert_nowhere(secrets: list[bytes], service: Service, database_url: str) -> None:
    for place, content in places(service, database_url):
        for secret in secrets:
            assert secret not in content, place
            assert secret.hex().encode() not in content, place


def vault_rows(service: Service, database_url: str) -> list[bytes]:
    engine: Any = (
        SQLiteEngine(service.data / "commissaire.db")
        if database_url.startswith("sqlite")
        else PostgresEngine(database_url)
    )
    try:
        with engine.snapshot() as tx:
            sql = "SELECT wrapped_key, ciphertext FROM vault WHERE subject LIKE 'host/%'"
            return [bytes(part) for row in tx.execute(sql).fetchall() for part in row]
    finally:
        engine.close()


def test_a_private_key_is_nowhere_before_and_after_its_host_is_deleted(
    service: Service, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    secrets = traces(host.private_key)
    service.register(host)
    service.wait_for_status(host.address, "disassociated")
    creds = service.client.get(f"/host/{host.address}/creds").json()
    assert base64.b64decode(creds["ssh_priv_key"]) == host.private_key
    assert_nowhere(secrets, service, database_url)
    sealed = vault_rows(service, database_url)
    assert len(sealed) == 2

    assert service.client.delete(f"/host/{host.address}").status_code == 200
    assert vault_rows(service, database_url) == []
    # Not as ciphertext either: in no page of the database, nor in what it logs ahead.
    assert_nowhere([*secrets, *sealed], service, database_url)


def test_a_key_in_a_bad_request_is_not_repeated_anywhere(
    service: Service, database_url: str, fleet: Fleet
) -> None:
    host = fleet.add("debian")
    broken = host.private_key.replace(b"OPENSSH", b"OPENSHH")
    answer = service.client.put(
        f"/host/{host.address}", json={"ssh_priv_key": base64.b64encode(broken).decode()}
    )
    assert answer.status_code == 400
    for secret in traces(host.private_key):
        assert secret not in answer.content
    assert_nowhere(traces(host.private_key), service, database_url)
