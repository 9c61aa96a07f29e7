"""A full disk: 507, nothing half-written, reads go on, and so does all when there is room again."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.faults.client import Client, address, registration
from tests.faults.conftest import ALONE
from tests.faults.models.whole import must_be_whole
from tests.faults.small_disk import CrampedService, SmallDisk
from tests.support.postgres import PostgresServer
from tests.support.service import Service, wait_for

DISK_KIB = 16 * 1024
POSTGRES_DISK_KIB = 32 * 1024
REQUESTS_MAX = 2000
AUTOCHECKPOINT_BYTES = 1000 * 4096
CREATED_IN_THE_WAL = 60
"""What has been written to the WAL before leaves room in it; by so many requests it is used up."""


class CrampedPostgres(NamedTuple):
    """A database whose tables are on a small disk."""

    disk: SmallDisk
    url: str


@pytest.fixture
def cramped_postgres() -> Iterator[CrampedPostgres]:
    """A PostgreSQL server, and a database whose tables are on a small disk."""
    with ExitStack() as opened:
        directory = Path(opened.enter_context(TemporaryDirectory()))
        directory.chmod(0o711)  # unlike pytest's directories, for the server's account
        disk = SmallDisk(directory / "disk", POSTGRES_DISK_KIB)
        opened.callback(disk.discard)
        server = PostgresServer(disk.enter)
        opened.callback(server.discard)
        disk.inside.chmod(0o711)
        (disk.inside / "tables").mkdir()
        server.create_tablespace("small", disk.inside / "tables", directory / "disk" / "tables")
        yield CrampedPostgres(disk, server.url(server.create_database(tablespace="small")))


@pytest.fixture(params=["log elsewhere", "log on the same disk"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CrampedService]:
    """A service on a small disk, with some hosts."""
    log_on_disk = request.param == "log on the same disk"
    cramped = CrampedService(tmp_path, DISK_KIB, log_on_disk=log_on_disk)
    with cramped as running:
        client = Client(running)
        assert client.put("/cluster/web").status == 201
        for number in range(3):
            assert client.put(f"/host/{address(1, number)}", registration("web")).status == 201
        yield running


def write_until_full(client: Client, prefix: str) -> list[str]:
    """The names of clusters that were created before the disk was full."""
    created = []
    for number in range(REQUESTS_MAX):
        name = f"{prefix}{number}"
        answer = client.put(f"/cluster/{name}")
        if answer.status == 201:
            created.append(name)
            continue
        assert answer.status == 507
        assert answer.headers["content-type"] == "application/problem+json"
        assert "disk is full" in answer.body["detail"]
        assert "nothing was stored" in answer.body["detail"]
        return created
    raise AssertionError("the disk was never full")


def must_hold(service: Service, names: list[str]) -> None:
    """These clusters, and beside them the one of the fixture with its hosts."""
    client = Client(service)
    assert client.get("/clusters") == sorted([*names, "web"])
    hosts = [address(1, number) for number in range(3)]
    assert client.get("/cluster/web/hosts") == hosts
    assert [host["address"] for host in client.get("/hosts")] == hosts


def must_be_whole_after_all(service: CrampedService, aside: Path) -> None:
    """Looked at aside: SQLite does not follow a path into another namespace."""
    assert service.stop() == 0
    shutil.copytree(service.disk.inside / "data", aside)
    must_be_whole(f"sqlite:///{aside / 'commissaire.db'}")


def test_a_full_disk_is_507_changes_nothing_and_reads_go_on_until_there_is_room_again(
    service: CrampedService, tmp_path: Path
) -> None:
    client = Client(service)
    service.disk.fill()
    created = write_until_full(client, "full")
    gone = address(1, 0)
    for answer in (
        client.put(f"/host/{address(1, 9)}", registration("web")),
        client.delete(f"/host/{gone}"),
        client.delete("/cluster/web"),
        client.request("GET", f"/host/{gone}/creds"),
    ):
        assert answer.status == 507, answer
    must_hold(service, created)
    assert client.request("GET", f"/host/{address(1, 9)}").status == 404

    service.disk.give_back()
    assert client.put("/cluster/after").status == 201
    must_hold(service, [*created, "after"])
    assert client.delete(f"/host/{gone}").status == 200
    assert client.put(f"/host/{gone}", registration("web")).status == 201
    assert client.delete(f"/host/{gone}").status == 200
    must_be_whole_after_all(service, tmp_path / "aside")


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL does not run as a namespace's root")
def test_a_full_disk_of_postgresql_is_507_and_on_it_goes_when_there_is_room_again(
    cramped_postgres: CrampedPostgres, tmp_path: Path
) -> None:
    with Service(tmp_path / "service", cramped_postgres.url, *ALONE) as service:
        client = Client(service)
        hosts = [address(1, number) for number in range(3)]
        assert client.put("/cluster/web").status == 201
        for host in hosts:
            assert client.put(f"/host/{host}", registration("web")).status == 201
        cramped_postgres.disk.fill()
        created = write_until_full(client, "full")
        must_hold(service, created)
        cramped_postgres.disk.give_back()
        assert client.put("/cluster/after").status == 201
        assert client.delete(f"/host/{hosts[0]}").status == 200
        assert client.put(f"/host/{hosts[0]}", registration()).status == 201
    must_be_whole(cramped_postgres.url)


def test_after_kill_9_on_a_full_disk_all_that_was_answered_is_read_and_more_once_there_is_room(
    service: CrampedService, tmp_path: Path
) -> None:
    client = Client(service)
    service.disk.fill()
    created = write_until_full(client, "full")
    service.kill()
    service.start()  # it needs no room to read
    must_hold(service, created)
    created += write_until_full(Client(service), "again")
    service.kill()
    service.disk.give_back()
    service.start()
    must_hold(service, created)
    assert Client(service).put("/cluster/after").status == 201
    must_be_whole_after_all(service, tmp_path / "aside")


def test_a_destroyed_key_is_wiped_once_there_is_room_for_it(
    service: CrampedService, tmp_path: Path
) -> None:
    """Writing back what was deleted needs room too: the change is answered, and the rest waits."""
    client = Client(service)
    host = address(1, 0)
    wal = service.disk.inside / "data" / "commissaire.db-wal"
    created: list[str] = []
    sizes = [0, 1]
    while sizes[-1] > sizes[-2] or sizes[-1] < AUTOCHECKPOINT_BYTES:
        created.append(f"more{len(created)}")
        assert client.put(f"/cluster/{created[-1]}").status == 201
        sizes.append(wal.stat().st_size)
    # SQLite has begun to write the WAL anew: it has room, but the database has none to grow.
    service.disk.fill()
    for number in range(CREATED_IN_THE_WAL):
        created.append(f"wal{number}")
        assert client.put(f"/cluster/{created[-1]}").status == 201
    assert client.delete(f"/host/{host}").status == 200
    assert client.request("GET", f"/host/{host}").status == 404
    assert wal.stat().st_size > 0
    service.disk.give_back()
    wait_for(lambda: wal.stat().st_size == 0)
    assert client.get("/clusters") == sorted([*created, "web"])
    must_be_whole_after_all(service, tmp_path / "aside")
