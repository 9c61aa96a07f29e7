"""Read models of another version: served while they are made anew, or built before they are."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.log.engine import StoredEvent
from domain.log.recorder import LogRecorder, head
from projections.all import PROJECTIONS
from projections.rebuilding.live_tables import AT_ONCE_POSITIONS
from projections.rebuilding.scratch import Scratch
from tests.faults.client import address, registration
from tests.faults.models.whole import database_of, must_be_whole
from tests.support.service import Service, wait_for
from tests.support.stores import Store

LIMIT_S = 60
REBUILT_LIMIT_S = 60.0
HOST = address(9, 0)
UNWATCHED = ("--investigation-attempts", "1", "--retry-pause-s", "80000",
             "--retry-pause-max-s", "86400")  # fmt: skip


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Service:
    """A service that does not run; there is a cluster and a host that nobody can reach."""
    service = Service(tmp_path / "service", database_url, *UNWATCHED)
    with service:
        assert service.client.put("/cluster/web").status_code == 201
        body = registration()
        assert service.client.put(f"/host/{HOST}", json=body).status_code == 201
        service.wait_for_status(HOST, "failed")
    return service


@pytest.fixture
def store(service: Service, database_url: str) -> Iterator[Store]:
    """Its database."""
    with ExitStack() as opened:
        yield Store(database_of(service, database_url), opened)


def write(store: Store, *statements: str) -> None:
    """Change tables by hand."""
    with store.engine.append(1) as appending:
        for sql in statements:
            appending.tx.execute(sql)
        appending.commit()


def fault(service: Service) -> dict[str, Any]:
    """Why the database is not ready; nothing where it is."""
    root = service.url
    parts = httpx.get(f"{root}/readyz").json()["parts"]
    (found,) = [part for part in parts if part["name"] == "database"]
    return {} if found["ready"] else found


def command(service: Service, *arguments: str) -> tuple[int, str, str]:
    """`commissaire projections …` beside it: exit status, output, and what went to stderr."""
    whole = [sys.executable, "-m", "runners.cli", "projections", *arguments]
    if arguments[0] != "list":
        whole += ["--data", str(service.data)]
    ended = subprocess.run(
        whole, env=service.environment(), capture_output=True, text=True, timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def states(service: Service) -> dict[str, str]:
    """What `commissaire projections status` says of each."""
    _, said, _ = command(service, "status", "--json")
    return {each["name"]: each["state"] for each in json.loads(said)}


def test_what_an_older_version_made_is_served_until_it_is_made_anew(
    service: Service, store: Store
) -> None:
    write(
        store,
        "UPDATE projection_positions SET version = 1 WHERE name = 'hosts'",
        'UPDATE hosts SET head = replace(head, \'"os":""\', \'"os":"old"\')',
    )
    assert states(service)["hosts"] == "outdated"
    # Somebody else rebuilds at that place: the service's own rebuild has to wait.
    with Scratch(service.data / "rebuild.db", PROJECTIONS):
        service.start()
        assert fault(service) == {}
        assert service.client.get(f"/host/{HOST}").json()["os"] == "old"
        assert service.client.put(f"/host/{address(9, 1)}", json=registration()).is_success
        wait_for(lambda: "another process rebuilds" in service.read_log())
        assert states(service)["hosts"] == "outdated"
    with service_running(service):
        wait_for(lambda: service.client.get(f"/host/{HOST}").json()["os"] == "", REBUILT_LIMIT_S)
        assert states(service) == dict.fromkeys((each.name for each in PROJECTIONS), "current")
        assert not (service.data / "rebuild.db").exists()
    must_be_whole(store.url)


class service_running:  # noqa: N801 - as `contextlib` names its own
    """Stops a service that runs already."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._service.client.close()
        assert self._service.stop() == 0


def lengthen(store: Store) -> None:
    """A log that is too long to be projected before the service answers."""
    state = b'{"at":"2026-01-02T03:04:05.000006","actor":"a","correlation":"c"}'
    LogRecorder(store.engine).insert_events(
        [
            StoredEvent("source/rack", version, "source.came_back", state)
            for version in range(1, AT_ONCE_POSITIONS + 2)
        ]
    )
    with store.engine.snapshot() as tx:
        newest = head(tx).position
    write(store, f"UPDATE projection_positions SET position = {newest}")  # noqa: S608


def test_where_the_columns_differ_the_service_says_so_and_answers_when_it_is_built(
    service: Service, store: Store
) -> None:
    lengthen(store)
    write(
        store,
        "DROP TABLE hosts",
        "CREATE TABLE hosts (address TEXT PRIMARY KEY, status TEXT, of_old TEXT)",
    )
    assert states(service)["hosts"] == "unbuilt"
    with Scratch(service.data / "rebuild.db", PROJECTIONS):
        service.start()
        found = fault(service)
        assert found["kind"] == "projection.being_built"
        assert "hosts" in found["reason"] and "other columns" in found["reason"]
        for answer in (service.client.get("/hosts"), service.client.put("/cluster/db")):
            assert answer.status_code == 503
            assert "hosts is being made" in answer.json()["detail"]
        assert httpx.get(f"{service.url}/healthz").is_success
    with service_running(service):
        wait_for(lambda: not fault(service), REBUILT_LIMIT_S)
        assert [host["address"] for host in service.client.get("/hosts").json()] == [HOST]
        assert service.client.put("/cluster/db").status_code == 201
    must_be_whole(store.url)


def test_an_event_that_the_new_version_cannot_handle_is_told_and_the_old_rows_are_served(
    service: Service, store: Store
) -> None:
    LogRecorder(store.engine).insert_events([StoredEvent("host/x", 1, "host.registered", b"{")])
    with store.engine.snapshot() as tx:
        newest = head(tx).position
    write(store, f"UPDATE projection_positions SET position = {newest}")  # noqa: S608
    write(store, "UPDATE projection_positions SET version = 1 WHERE name = 'hosts'")
    with service:
        found = wait_for(lambda: fault(service), REBUILT_LIMIT_S)
        assert found["kind"] == "projection.stopped"
        assert f"before position {newest} of the log" in found["reason"]
        assert service.client.get(f"/host/{HOST}").is_success
        assert service.client.put("/cluster/db").status_code == 201
        status, said, _ = command(service, "rebuild", "hosts")
        assert status == 1
        assert f"before position {newest} of the log" in said
        assert "Its tables were left as they are." in said


def test_the_commands_say_how_it_is_and_what_to_do(service: Service, store: Store) -> None:
    status, said, _ = command(service, "list", "--json")
    assert status == 0
    assert [each["name"] for each in json.loads(said)] == [each.name for each in PROJECTIONS]
    with service:
        assert command(service, "status")[0] == 0
        status, said, _ = command(service, "status", "--json", "--digest", "hosts")
        (found,) = json.loads(said)
        assert (found["state"], found["rows"], found["lag"]) == ("current", 2, 0)
        status, said, _ = command(service, "verify", "--json")
        assert status == 0
        verdicts = {each["name"]: each for each in json.loads(said)}
        assert verdicts["hosts"]["live"] == verdicts["hosts"]["rebuilt"] == found["digest"]
        write(store, "UPDATE hosts SET status = 'active'")
        status, said, _ = command(service, "verify", "hosts", "clusters")
        assert status == 1
        assert f"hosts: hosts: row '{HOST}' has status 'active', and it should be 'failed'." in said
        assert "clusters: right up to position" in said
        status, said, _ = command(service, "rebuild", "hosts", "--json")
        assert (status, json.loads(said)["changed"]) == (0, {"hosts": 1})
        assert service.status(HOST) == "failed"
        status, _, told = command(service, "rebuild", "horses")
        assert status == 2
        assert "'horses' is none of hosts, clusters" in told
        with Scratch(service.data / "rebuild.db", PROJECTIONS):
            status, _, told = command(service, "rebuild")
        assert status == 1
        assert "another process rebuilds read models" in told
    LogRecorder(store.engine).insert_events([StoredEvent("moon/1", 1, "moon.rose", b"{}")])
    status, said, _ = command(service, "status", "networks")
    assert status == 1
    assert "stopped" in said and "moon.rose" in said
    assert "Start a version of Commissaire that knows this event; nothing is lost." in said
