"""What those who watch the service see: `/healthz`, `/readyz` and `/metrics`."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics

from domain.log.engine import StoredEvent
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.recorder import LogRecorder, insert
from tests.faults.models.whole import database_of
from tests.faults.small_disk import CrampedService
from tests.support.postgres import PostgresServer
from tests.support.service import Service, wait_for
from tests.support.stores import Store

OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
FORWARDED = {"X-Forwarded-For": "192.0.2.7"}
AWAY_ANSWER_S = 6.0
"""Well above the two seconds that the database has, and below what a Prometheus waits for."""

WATCHING_S = 60.0


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service on SQLite, for what no database has a say in."""
    with Service(tmp_path_factory.mktemp("local")) as running:
        yield running


def figures(service: Service, **labels: str) -> dict[str, float]:
    """Every sample that has these labels, by its name."""
    text = httpx.get(f"{service.url}/metrics").raise_for_status().text
    return {
        sample.name: sample.value
        for family in plain_metrics(text)
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    }


def readiness(service: Service, **more: Any) -> httpx.Response:
    return httpx.get(f"{service.url}/readyz", timeout=30, **more)


def red(service: Service) -> dict[str, dict[str, str]]:
    """The parts that are not ready, by name."""
    answer = readiness(service)
    parts = {part["name"]: part for part in answer.json()["parts"] if not part["ready"]}
    assert answer.status_code == (503 if parts else 200)
    assert answer.json()["status"] == ("not_ready" if parts else "ready")
    return parts


def test_a_service_that_runs_is_ready_and_names_its_parts(service: Service) -> None:
    answer = readiness(service)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    parts = [part["name"] for part in answer.json()["parts"]]
    assert parts[:6] == ["database", "writer", "disk", "users", "tokens", "vault"]
    assert {"investigator", "watcher", "sources", "rolling", "removals"} <= set(parts[6:])


@pytest.mark.parametrize("accept", [{}, OPEN_METRICS], ids=["text", "openmetrics"])
def test_figures_are_in_the_format_of_prometheus_with_help_and_types(
    local: Service, accept: dict[str, str]
) -> None:
    local.client.put("/cluster/web")
    answer = httpx.get(f"{local.url}/metrics", headers=accept)
    version = "application/openmetrics-text" if accept else "text/plain; version=0.0.4"
    assert answer.headers["content-type"].startswith(version)
    families: list[Metric] = list((open_metrics if accept else plain_metrics)(answer.text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)) > 25
    for family in families:
        assert family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        assert re.fullmatch(r"(commissaire|process)_[a-z_]+", family.name)
        assert not re.search(r"_(ms|milliseconds|kib|mib|count|sum|bucket)$", family.name)
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)


def test_requests_are_counted_by_route_and_status_with_their_durations(local: Service) -> None:
    for _ in range(3):
        local.client.get("/network/mesh")
    local.client.put("/network/mesh")
    local.client.get("/network/mesh")
    route = {"route": "/api/v0/network/{name}"}

    def requests(**labels: str) -> float:
        return figures(local, **route, **labels)["commissaire_http_requests_total"]

    assert requests(method="GET", status="404") == 3
    assert requests(method="GET", status="200") == 1
    assert requests(method="PUT", status="201") == 1
    name = "commissaire_http_request_duration_seconds"
    seconds = figures(local, **route, method="GET")
    assert seconds[f"{name}_count"] == 4
    assert 0 < seconds[f"{name}_sum"] < 10
    assert figures(local, **route, method="GET", le="+Inf")[f"{name}_bucket"] == 4


def test_clients_cannot_make_up_new_series(local: Service) -> None:
    def series() -> int:
        text = httpx.get(f"{local.url}/metrics").text
        return len([line for line in text.splitlines() if line.startswith("commissaire_http")])

    def wander(number: int) -> None:
        local.client.get(f"/nowhere/{number}")
        local.client.get(f"/cluster/c{number}")
        local.client.request(("PROPFIND", "MKCOL", "LOCK", "REPORT")[number % 4], "/clusters")
        httpx.get(f"{local.url}/{number}", headers={"Authorization": f"Basic {number}"})

    for number in range(4):
        wander(number)
    series()
    before = series()
    for number in range(4, 40):
        wander(number)
    assert series() == before


def test_refused_log_ins_are_counted_by_reason(local: Service) -> None:
    where = f"{local.url}/api/v0/clusters"

    def refused() -> list[float]:
        reasons = ("missing", "wrong", "too_many")
        return [figures(local, reason=r)["commissaire_logins_refused_total"] for r in reasons]

    before = refused()
    httpx.get(where)
    for password in ("a", "b"):
        httpx.get(where, auth=("admin", password))
    assert [now - then for now, then in zip(refused(), before, strict=True)] == [1, 2, 0]


def test_many_may_watch_at_once_and_leave_when_they_like(service: Service) -> None:
    where = urlsplit(service.url)

    async def ask(number: int, path: str) -> int:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status = 0 if number % 5 == 0 else int((await reader.readline()).split()[1])
        writer.close()
        return status

    async def watch(number: int) -> list[int]:
        paths = ("/readyz", "/metrics") * 20
        return [await ask(number + count, path) for count, path in enumerate(paths)]

    async def all_watch() -> list[list[int]]:
        async with asyncio.timeout(WATCHING_S):
            return await asyncio.gather(*(watch(number) for number in range(8)))

    statuses = {status for seen in asyncio.run(all_watch()) for status in seen}
    assert statuses == {0, 200}
    assert "request.failed" not in service.read_log()


def test_figures_tell_of_the_log_and_of_who_reads_it(service: Service) -> None:
    for number in range(5):
        service.client.put(f"/cluster/c{number}")

    def reached() -> bool:
        found = figures(service)
        return found["commissaire_follower_position"] == found["commissaire_log_position"]

    wait_for(reached)
    found = figures(service)
    assert found["commissaire_log_events"] == 5
    assert 5 * 50 < found["commissaire_log_bytes"] < 5 * 1000
    assert found["commissaire_database_bytes"] > found["commissaire_log_bytes"]
    for name in ("hosts", "clusters", "networks", "container_managers"):
        of_one = figures(service, projection=name)
        assert of_one["commissaire_projection_position"] == found["commissaire_log_position"]
        assert of_one["commissaire_projection_lag"] == 0
    assert figures(service, status="ok")["commissaire_clusters"] == 5
    assert figures(service, status="failed")["commissaire_hosts"] == 0
    assert found["commissaire_commit_commands_sum"] == 5
    assert found["commissaire_ready"] == found["commissaire_database_up"] == 1


def test_figures_tell_of_operations(service: Service) -> None:
    def operations(status: str) -> float:
        return figures(service, kind="upgrade", status=status)["commissaire_operations"]

    assert operations("finished") == operations("in_process") == 0
    service.client.put("/cluster/web")
    assert service.client.put("/cluster/web/upgrade").status_code == 201
    wait_for(lambda: operations("finished") == 1)
    assert operations("in_process") == 0
    assert figures(service, outcome="waiting")["commissaire_operation_hosts"] == 0


def test_figures_are_for_this_machine_and_for_users(local: Service) -> None:
    where = f"{local.url}/metrics"
    assert httpx.get(where).status_code == 200
    refused = httpx.get(where, headers=FORWARDED)
    assert refused.status_code == 401
    assert "www-authenticate" in refused.headers
    viewer = ("viewer", local.password)
    assert httpx.get(where, headers=FORWARDED, auth=viewer).status_code == 200
    assert httpx.get(where, headers=FORWARDED, auth=("viewer", "x")).status_code == 403


@pytest.mark.parametrize(("observers", "status"), [("anyone", 200), ("viewer", 401)])
def test_a_setting_opens_figures_to_everybody_or_to_users_only(
    tmp_path: Path, observers: str, status: int
) -> None:
    with Service(tmp_path, None, "--observers", observers) as service:
        for headers in ({}, FORWARDED):
            answer = httpx.get(f"{service.url}/metrics", headers=headers)
            assert answer.status_code == status


def test_strangers_learn_which_part_is_not_ready_but_not_why(local: Service) -> None:
    (local.data / "master.key").rename(local.data / "elsewhere")
    fault = red(local)["vault"]
    assert fault["kind"] == "vault.key_missing"
    assert str(local.data) in fault["reason"]
    assert "copy" in fault["action"]
    answer = readiness(local, headers=FORWARDED)
    assert answer.status_code == 503
    assert {"name": "vault", "ready": False} in answer.json()["parts"]
    assert str(local.data) not in answer.text
    known = readiness(local, headers=FORWARDED, auth=("viewer", local.password))
    assert fault in known.json()["parts"]
    (local.data / "elsewhere").rename(local.data / "master.key")
    assert red(local) == {}


def test_a_master_key_that_is_another_makes_it_unready(local: Service) -> None:
    file = local.data / "master.key"
    key = file.read_text()
    for other, kind in (("x" * 43 + "=", "vault.key_unusable"), ("no key", "vault.key_unusable")):
        file.write_text(other)
        assert red(local)["vault"]["kind"] == kind
        assert other not in readiness(local).text
    file.write_text(key)
    assert red(local) == {}


def test_a_broken_users_file_makes_it_unready_until_it_is_mended(local: Service) -> None:
    file = local.data / "users.json"
    users = file.read_text()
    file.write_text("{")
    assert red(local)["users"]["kind"] == "users.broken"
    file.write_text("{}")
    wait_for(lambda: red(local)["users"]["kind"] == "users.none")
    file.write_text(users)
    wait_for(lambda: red(local) == {})


def test_a_broken_tokens_file_that_was_named_makes_it_unready(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    with Service(tmp_path, None, "--tokens", str(file)) as service:
        file.write_text("{")
        assert red(service)["tokens"]["kind"] == "tokens.broken"
        file.unlink()
        wait_for(lambda: red(service) == {})


def test_a_read_model_behind_the_log_makes_it_unready_and_the_position_is_named(
    local: Service,
) -> None:
    local.client.put("/cluster/web")
    position = int(figures(local)["commissaire_log_position"])
    state = json.dumps(
        {"at": "2026-01-02T03:04:05.000006", "actor": "a", "correlation": "c"}
        | {"name": "late", "network": "default", "container_manager": ""}
    )
    engine = SQLiteEngine(local.data / "commissaire.db")
    stored = StoredEvent("cluster/late", 1, "cluster.created", state.encode())
    LogRecorder(engine).insert_events([stored])
    engine.close()
    fault = red(local)["database"]
    assert fault["kind"] == "projection.behind"
    assert f"at position {position} of the log, which goes to {position + 1}" in fault["reason"]
    assert figures(local, projection="clusters")["commissaire_projection_lag"] == 1
    local.client.put("/cluster/next")  # a change brings the read models up to date
    assert red(local) == {}
    assert {"late", "next", "web"} <= set(local.client.get("/clusters").json())


def test_an_event_that_nobody_knows_stops_the_read_models_and_the_position_is_named(
    tmp_path: Path, database_url: str
) -> None:
    service = Service(tmp_path / "service", database_url)
    with service:
        service.client.put("/cluster/web")
        service.stop()
        with ExitStack() as opened:
            engine = Store(database_of(service, database_url), opened).engine
            LogRecorder(engine).insert_events([StoredEvent("moon/1", 1, "moon.rose", b"{}")])
        service.start()
        fault = red(service)["database"]
        assert fault["kind"] == "projection.stopped"
        assert "before position 2 of the log" in fault["reason"]
        assert "moon.rose" in fault["reason"]
        assert figures(service, projection="clusters")["commissaire_projection_lag"] == 1
        for answer in (service.client.get("/clusters"), service.client.put("/cluster/db")):
            assert answer.status_code == 503
            assert "moon.rose" in answer.json()["detail"]
        told = service.client.get("/events").json()
        assert [event["type"] for event in told] == ["cluster.created", "moon.rose"]
        assert service.client.get("/cluster/web/history").is_success
        assert '"event":"projection.stopped"' in service.read_log()
        assert service.stop() == 0


def append_as_a_newer_version(url: str, stored: StoredEvent) -> int:
    """An event that we do not know, with the read models brought up to it; gives its position."""
    with ExitStack() as opened, Store(url, opened).engine.append(10) as appending:
        (place,) = insert(appending.tx, appending.head, [stored])
        appending.tx.execute("UPDATE projection_positions SET position = ?", (place.position,))
        appending.commit()
    return place.position


def test_runners_stop_before_an_event_of_a_newer_version_and_the_service_stays(
    tmp_path: Path, postgres_url: str
) -> None:
    with Service(tmp_path, postgres_url) as service:
        service.client.put("/cluster/web")
        wait_for(lambda: red(service) == {})
        with service.client.stream("GET", "/events/stream") as stream:
            state = b'{"actor":"bob","far":1}'
            stored = StoredEvent("cluster/web", 2, "cluster.of_tomorrow", state)
            position = append_as_a_newer_version(postgres_url, stored)
            lines = (line for line in stream.iter_lines() if line.startswith("data:"))
            streamed = json.loads(next(lines).removeprefix("data:"))
            assert streamed["id"] == str(position)
            assert streamed["actor"] == "bob"
            wait_for(lambda: figures(service)["commissaire_leases_held"] == 0)
            service.client.put("/cluster/db")
            assert json.loads(next(lines).removeprefix("data:"))["subject"] == "cluster/db"
        runners = {"investigator", "watcher", "updates", "rolling", "registrar", "sources"}
        wait_for(lambda: set(red(service)) == runners)  # they stop one after the other
        faults = red(service)
        for name in runners:
            assert faults[name]["kind"] == "runner.stopped"
            assert f"position {position} of the log, cluster.of_tomorrow" in faults[name]["reason"]
        assert streamed in service.client.get("/events").json()
        assert "db" in service.client.get("/clusters").json()
        refused = service.client.delete("/cluster/web")
        assert refused.status_code == 503
        assert "cluster.of_tomorrow" in refused.json()["detail"]
        assert service.read_log().count('"event":"runner.stopped"') == len(runners)
        assert service.stop() == 0


def test_a_database_that_is_away_makes_it_unready_and_figures_come_without_it(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    with Service(tmp_path, postgres_url) as service:
        assert red(service) == {}
        postgres_server.stop("immediate")
        began = time.monotonic()
        fault = red(service)["database"]
        assert fault["kind"] == "database.away"
        assert postgres_url.split(":")[2].split("@")[0] not in fault["reason"]
        found = figures(service)
        assert time.monotonic() - began < AWAY_ANSWER_S
        assert found["commissaire_database_up"] == 0
        assert "commissaire_log_position" not in found
        assert found["commissaire_http_requests_total"] > 0
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        postgres_server.start()
        wait_for(lambda: red(service) == {})


def test_a_full_disk_makes_it_unready_until_there_is_room(tmp_path: Path) -> None:
    with CrampedService(tmp_path, 48 * 1024) as service:
        assert red(service) == {}
        service.disk.fill()
        assert red(service)["disk"]["kind"] == "disk.low"
        answer = service.client.put("/cluster/web")
        if answer.status_code == 507:
            assert red(service)["disk"]["kind"] == "disk.full"
        service.disk.give_back()
        assert service.client.put("/cluster/web").status_code == 201
        assert red(service) == {}
