"""What those who watch the service see: `/healthz`, `/readyz` and `/metrics`."""

import asyncio
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics

from tests.end_to_end.hosts.observing import (
    FORWARDED,
    OPEN_METRICS,
    WATCHING_S,
    figures,
    local,
    readiness,
)
from tests.support.service import Service, wait_for

__all__ = ["local"]


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
    # With the look whether a day's checkpoint is due, which appends nothing.
    assert found["commissaire_commit_commands_sum"] in (5, 6)
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
