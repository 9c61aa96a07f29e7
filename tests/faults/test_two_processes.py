"""What a second process may do beside a service, and what it may not."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest

from domain.commands import fleet_commands
from domain.log.unit import Unit
from tests.faults.client import PRIVATE_KEY, Client, address
from tests.faults.conftest import ALONE
from tests.faults.models.population import maintenance, populate
from tests.faults.models.whole import database_of, must_be_whole
from tests.support.service import Service, wait_for
from tests.support.stores import ACT, WAIT_TIMEOUT_S

LIMIT_S = 60.0


def create(unit: Unit, name: str) -> None:
    """A cluster, as a maintenance command would make it."""
    fleet_commands.create_cluster(unit, name, "default", "")


def test_what_a_second_process_appends_is_seen_by_the_next_read_and_the_next_command(
    service: Service, database_url: str
) -> None:
    client = Client(service)
    assert client.put("/cluster/web").status == 201
    assert client.get("/cluster/web/hosts") == []
    host = address(1, 0)
    with maintenance(service, database_url) as (writer, _):
        for name in ("one", "two", "three"):
            writer.submit(ACT, partial(create, name=name)).result(WAIT_TIMEOUT_S)
            assert client.request("GET", f"/cluster/{name}").status == 200
            assert name in client.get("/clusters")
            assert client.delete(f"/cluster/{name}").status == 200
            # And the other way round: the second process sees what the service did.
            writer.submit(ACT, partial(create, name=name)).result(WAIT_TIMEOUT_S)
            assert client.put(f"/cluster/{name}").status == 201
    populate(service, database_url, "web", 1)
    assert client.get("/cluster/web/hosts") == [host]
    assert client.get(f"/host/{host}")["status"] == "active"
    assert client.put(f"/cluster/one/hosts/{host}").status == 409
    assert client.delete(f"/host/{host}").status == 200
    assert client.get("/cluster/web/hosts") == []
    must_be_whole(database_of(service, database_url))


def test_a_host_that_a_second_process_registers_is_looked_at(
    service: Service, database_url: str
) -> None:
    with maintenance(service, database_url) as (writer, vault):
        host = address(1, 0)
        request = fleet_commands.HostRequest(
            fleet_commands.OfferedKey(PRIVATE_KEY, lambda raw: "x"), ssh_port=1
        )
        writer.submit(
            ACT, lambda unit: fleet_commands.register_host(unit, vault, host, request)
        ).result(WAIT_TIMEOUT_S)
    service.wait_for_status(host, "failed")


def test_after_kill_9_the_data_directory_is_free_though_a_holder_is_written_there(
    tmp_path: Path,
) -> None:
    with Service(tmp_path, None, *ALONE) as service:
        assert Client(service).put("/cluster/web").status == 201
        dead = service.pid
        service.kill()
        assert f"process {dead} on " in (service.data / "serve.lock").read_text()
        service.start()
        assert Client(service).get("/clusters") == ["web"]
        second = subprocess.run(
            service.command(), capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert second.returncode == 1
        assert f"process {service.pid} on " in second.stderr
        assert str(dead) not in second.stderr.replace(str(service.pid), "")
        assert Client(service).put("/cluster/more").status == 201


def test_a_second_service_is_refused_though_the_lock_file_of_the_first_was_deleted(
    tmp_path: Path,
) -> None:
    with Service(tmp_path, None, *ALONE) as service:
        (service.data / "serve.lock").unlink()
        second = subprocess.run(
            service.command(), capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert second.returncode == 1
        assert f"is served already by process {service.pid} on " in second.stderr
        assert "data_lock.taken_back" in service.log.read_text()
        assert Client(service).put("/cluster/web").status == 201


def test_a_data_directory_that_is_moved_away_changes_nothing_and_shuts_nobody_out(
    tmp_path: Path,
) -> None:
    with Service(tmp_path, None, *ALONE) as service:
        client = Client(service)
        assert client.put("/cluster/web").status == 201
        service.data.rename(tmp_path / "elsewhere")
        wait_for(lambda: "data_lock.unchecked" in service.read_log())
        refused = client.put("/cluster/more")
        assert refused.status == 503, refused
        assert client.get("/clusters") == ["web"]
        (tmp_path / "elsewhere").rename(service.data)
        wait_for(lambda: "data_lock.taken_back" in service.read_log())
        assert service.read_log().count("data_lock.unchecked") == 1
        assert client.put("/cluster/more").status == 201


def test_a_lock_file_that_a_directory_has_replaced_is_told_and_lets_nobody_in(
    tmp_path: Path,
) -> None:
    with Service(tmp_path, None, *ALONE) as service:
        lock = service.data / "serve.lock"
        lock.unlink()
        lock.mkdir()
        wait_for(lambda: "data_lock.unchecked" in service.read_log())
        ready = httpx.get(f"{service.url}/readyz", timeout=LIMIT_S)
        assert "data_lock.unchecked" in ready.text, ready.text
        second = subprocess.run(
            service.command(), capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert (second.returncode, "serve.lock" in second.stderr) == (2, True), second.stderr
        lock.rmdir()
        wait_for(lambda: "data_lock.taken_back" in service.read_log())
        assert Client(service).put("/cluster/web").status == 201


@pytest.mark.parametrize("exists", [True, False])
def test_a_lock_file_that_a_link_has_replaced_is_not_followed(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "passwd"
    if exists:
        target.write_text("root:x:0:0\n")
    with Service(tmp_path, None, *ALONE) as service:
        lock = service.data / "serve.lock"
        lock.unlink()
        lock.symlink_to(target)
        wait_for(lambda: "data_lock.unchecked" in service.read_log())
        second = subprocess.run(
            service.command(), capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert (second.returncode, "serve.lock is a link" in second.stderr) == (2, True)
        assert target.read_text() == "root:x:0:0\n" if exists else not target.exists()
        lock.unlink()
        wait_for(lambda: "data_lock.taken_back" in service.read_log())


@pytest.mark.parametrize("lost", ["commissaire.db", "commissaire.db-wal"])
def test_what_a_service_has_answered_outlives_a_database_file_that_was_moved_and_put_back(
    tmp_path: Path, lost: str
) -> None:
    with Service(tmp_path, None, *ALONE) as service:
        client = Client(service)
        assert client.put("/cluster/web").status == 201
        (service.data / lost).rename(service.data / "away")
        assert client.put("/cluster/more").status == 503
        (service.data / "away").rename(service.data / lost)
        status = client.put("/cluster/again").status
        service.stop()
        service.start()
        assert client.get("/clusters") == (["again", "web"] if status == 201 else ["web"])


@pytest.mark.parametrize("engine", ["sqlite"])  # users are in a file on both
def test_a_user_who_is_added_beside_a_running_service_may_log_in_at_once(service: Service) -> None:
    client = Client(service, "newcomer")
    assert client.request("GET", "/clusters").status == 403
    add = [sys.executable, "-m", "runners.cli", "user", "add", "newcomer", "--role", "viewer"]
    where = ["--password-stdin", "--users", str(service.data / "users.json")]
    subprocess.run([*add, *where], input=service.password.encode(), check=True, timeout=LIMIT_S)
    assert client.request("GET", "/clusters").status == 200
    assert client.put("/cluster/web").status == 403
