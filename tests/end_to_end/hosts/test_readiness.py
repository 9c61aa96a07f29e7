"""What makes a service unready, and who is told why."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from domain.log.engine import StoredEvent
from domain.log.engines.sqlite import SQLiteEngine
from domain.log.recorder import LogRecorder, insert
from tests.end_to_end.hosts.observing import (
    AWAY_ANSWER_S,
    FORWARDED,
    figures,
    local,
    readiness,
    red,
)
from tests.faults.models.whole import database_of
from tests.faults.small_disk import CrampedService
from tests.support.postgres import PostgresServer
from tests.support.service import Service, wait_for
from tests.support.stores import Store

__all__ = ["local"]


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
        runners = {"investigator", "watcher", "updates", "rolling", "schedules", "registrar"}
        runners |= {"sources", "webhooks"}
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
