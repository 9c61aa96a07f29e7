"""The standby that takes over had not received everything: what is lost is said, and nothing else
goes wrong."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.log.continuity import POSITIONS_SKIPPED
from tests.end_to_end.processes.several import several
from tests.high_availability.pair import Pair
from tests.high_availability.traffic import lost
from tests.support.service import Service, wait_for

QUIET = ("--no-runners", "--command-timeout-s", "20")
LOST = [
    pytest.param(1, id="1"),
    pytest.param(40, id="40", marks=pytest.mark.proof),
    pytest.param(300, id="300", marks=pytest.mark.proof),
]


def put(service: Service, *names: str) -> None:
    """Clusters, all answered."""
    for name in names:
        assert service.client.put(f"/cluster/{name}").status_code == 201


def went_back(service: Service) -> list[dict[str, Any]]:
    """What the log says of it."""
    found = service.client.get("/events", params={"type": "log.went_back"})
    assert found.status_code == 200, found.text + service.read_log()[-3000:]
    return [dict(event["data"]) for event in found.json()]


@pytest.mark.parametrize("count", LOST)
def test_lost_changes_are_named_and_every_process_goes_on_with_what_there_is(
    pair: Pair, tmp_path: Path, count: int
) -> None:
    with several(2, tmp_path, [pair.url] * 2, *QUIET) as (one, other):
        put(one, "kept", "web")
        with pair.standby_misses():
            put(one, *(f"lost{n}" for n in range(count)))
            assert one.client.delete("/cluster/web").status_code == 200
        pair.fail_over()
        wait_for(lambda: one.client.put("/cluster/after").status_code == 201)
        wait_for(lambda: other.client.put("/cluster/other").status_code == 201)
        # The aggregate that one process remembered as removed goes on where the log has it.
        for service in (one, other, one):
            assert service.client.put("/cluster/web").status_code == 201
            assert service.client.delete("/cluster/web").status_code == 200
        for service in (one, other):
            gone = service.client.get("/cluster/lost0")
            assert gone.status_code == 404
            assert "the database lost what it had of it" in gone.json()["detail"]
        names = {"after", "kept", "other"}
        assert all(set(s.client.get("/clusters").json()) == names for s in (one, other))
        (first, *more) = went_back(one)
        lost = [*first["changes"], *(change for event in more for change in event["changes"])]
        assert len(lost) == count + 1
        assert any(change.endswith("cluster.created cluster/lost0 admin") for change in lost)
        assert first["known_server"] != first["server"]
        assert one.read_log().count('"event":"log.change_lost"') == count + 1
        figures = httpx.get(f"{one.url}/metrics").text
        assert f"commissaire_log_changes_lost_total {count + 1}.0" in figures
        assert httpx.get(f"{one.url}/readyz").json()["status"] == "ready"


def test_an_old_primary_that_is_back_is_not_written_to_until_somebody_says_so(
    pair: Pair, tmp_path: Path
) -> None:
    with several(1, tmp_path, [pair.url], *QUIET, "--command-timeout-s", "3") as (service,):
        put(service, "kept")
        pair.wait_for_standby()
        pair.second.promote()  # while the first is still there: the others' network was cut
        pair.first.stop()
        wait_for(lambda: service.client.put("/cluster/new").status_code == 201)
        pair.second.stop()
        pair.first.start()
        refused = wait_for(lambda: _refused(service))
        assert "before the failover" in refused
        wait_for(lambda: service.client.get("/cluster/kept").status_code == 200)
        part = next(p for p in _readiness(service) if p["name"] == "log")
        assert part["kind"] == "log.other"
        service.stop()
        with pytest.raises(AssertionError, match="start with --accept-log"):
            service.start()
        name = str(part["reason"]).rpartition("--accept-log ")[2].rstrip(".")
        service.restart_with("--accept-log", name)
        put(service, "other")
        assert went_back(service)[0]["server"] == name


def test_no_host_is_worked_on_by_what_an_old_primary_says(pair: Pair, tmp_path: Path) -> None:
    with several(1, tmp_path, [pair.url], "--command-timeout-s", "3") as (service,):
        put(service, "kept")
        pair.wait_for_standby()
        pair.second.promote()
        pair.first.stop()
        wait_for(lambda: service.client.put("/cluster/new").status_code == 201)
        wait_for(lambda: _shards_held(service) > 0)
        pair.second.stop()
        pair.first.start()
        wait_for(lambda: _refused(service))
        wait_for(lambda: _shards_held(service) == 0, 20)
        pair.first.stop()
        pair.second.start()
        wait_for(lambda: _shards_held(service) > 0)
        put(service, "after")


def _shards_held(service: Service) -> float:
    figures = httpx.get(f"{service.url}/metrics").text
    (line,) = [line for line in figures.splitlines() if line.startswith("commissaire_leases_held ")]
    return float(line.split()[1])


def _refused(service: Service) -> str:
    answer = service.client.put("/cluster/split")
    return answer.json()["detail"] if "Nothing is written" in answer.text else ""


def _readiness(service: Service) -> list[dict[str, object]]:
    return list(httpx.get(f"{service.url}/readyz").json()["parts"])


@pytest.mark.proof
def test_streams_end_with_an_id_to_resume_from_and_lost_ids_are_refused(
    pair: Pair, tmp_path: Path
) -> None:
    with several(1, tmp_path, [pair.url], *QUIET) as (service,):
        put(service, "kept")
        with (
            httpx.stream(
                "GET",
                f"{service.url}/api/v0/events/stream?after=0",
                auth=("admin", service.password),
                timeout=60,
            ) as stream,
            pair.standby_misses(),
        ):
            put(service, *(f"lost{n}" for n in range(5)))
            pair.first.stop("immediate")
            pair.second.start()
            pair.second.promote()
            wait_for(lambda: service.client.put("/cluster/after").status_code == 201)
            lines = list(stream.iter_lines())
        ids = [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")]
        assert ": the log went back" in "\n".join(lines)
        (event,) = went_back(service)
        common, known = int(event["common_position"]), int(event["known_position"])
        assert ids[-1] == common
        assert known in ids
        headers = {"Last-Event-ID": str(known)}
        assert service.client.get("/events/stream", headers=headers).status_code == 409
        listed = service.client.get("/events", params={"after": common}).json()
        assert [event["type"] for event in listed] == ["log.went_back", "cluster.created"]
        assert all(int(event["id"]) > known for event in listed)


@pytest.mark.proof
def test_after_a_restart_across_a_failover_only_ids_that_were_lost_are_refused(
    pair: Pair, tmp_path: Path
) -> None:
    with several(2, tmp_path, [pair.url] * 2, *QUIET) as (one, other):
        put(one, "kept", "web")
        with pair.standby_misses():
            put(one, "lost")
            one.stop()
        only_the_head_is_kept(one)  # as older versions do
        pair.fail_over()
        one.start()
        wait_for(lambda: one.client.put("/cluster/after").status_code == 201)
        wait_for(lambda: other.client.put("/cluster/other").status_code == 201)
        there = [int(event["id"]) for event in one.client.get("/events").json()]
        assert 0 in [int(event["common_position"]) for event in went_back(one)]
        assert 3 not in there
        for service in (one, other):
            assert {id_: _resumed(service, id_) for id_ in (*there, 3)} == {
                id_: 409 if id_ == 3 else 200 for id_ in (*there, 3)
            }


def only_the_head_is_kept(service: Service) -> None:
    """For the next process, of what this one knew."""
    file = service.data / "log.json"
    kept = json.loads(file.read_bytes())
    file.write_text(json.dumps({k: v for k, v in kept.items() if k not in ("heads", "changes")}))


def test_what_a_process_answered_before_it_was_restarted_across_a_failover_is_named(
    pair: Pair, tmp_path: Path
) -> None:
    with several(1, tmp_path, [pair.url], *QUIET) as (service,):
        put(service, "kept", "web")
        with pair.standby_misses():
            put(service, "lost")
            assert service.client.delete("/cluster/web").status_code == 200
            service.stop()
        pair.fail_over()
        service.start()
        put(service, "after")
        gone = {("cluster.created", "cluster/lost"), ("cluster.removed", "cluster/web")}
        assert lost(service) == gone
        (event,) = went_back(service)
        assert {tuple(change.split()[1:3]) for change in event["changes"]} == gone
        assert event["common_position"] == 2
        detail = service.client.get("/cluster/lost").json()["detail"]
        assert "the database lost what it had of it" in detail


def test_what_was_lost_unseen_by_those_who_go_on_has_ids_that_nothing_else_gets(
    pair: Pair, tmp_path: Path
) -> None:
    with several(2, tmp_path, [pair.url] * 2, *QUIET) as (one, other):
        put(one, "kept")
        wait_for(lambda: other.client.put("/cluster/web").status_code == 201)
        other.send(signal.SIGSTOP)  # it sees nothing of what is lost
        with pair.standby_misses():
            put(one, *(f"lost{n}" for n in range(40)))
            ids = {int(event["id"]) for event in one.client.get("/events").json()}
            one.kill()  # and nobody who saw it goes on
        pair.fail_over()
        other.send(signal.SIGCONT)
        wait_for(lambda: other.client.put("/cluster/after").status_code == 201)
        there = {int(event["id"]) for event in other.client.get("/events").json()}
        assert ids & there == {1, 2}
        assert {id_: _resumed(other, id_) for id_ in (*sorted(there), 3, 20, 42)} == {
            **dict.fromkeys(sorted(there), 200),
            **dict.fromkeys((3, 20, 42), 409),
        }


def test_a_switchover_leaves_one_gap_however_many_processes_go_on(
    pair: Pair, tmp_path: Path
) -> None:
    with several(2, tmp_path, [pair.url] * 2, *QUIET) as services:
        put(services[0], "kept")
        pair.switch_over()
        for number in range(3):
            for service in services:
                name = f"after{number}-{services.index(service)}"
                wait_for(lambda s=service, n=name: s.client.put(f"/cluster/{n}").is_success)  # type: ignore[misc]  # binds them
        newest = int(services[0].client.get("/events").json()[-1]["id"])
        assert POSITIONS_SKIPPED < newest < 2 * POSITIONS_SKIPPED
        assert went_back(services[0]) == []


def test_a_stream_ends_with_an_id_that_is_refused_where_nobody_knows_what_is_common(
    pair: Pair, tmp_path: Path
) -> None:
    with several(1, tmp_path, [pair.url], *QUIET) as (service,):
        put(service, "kept", "web")
        with pair.standby_misses():
            put(service, "lost")
            service.stop()
            (service.data / "log.json").unlink()
            service.start()  # and knows nothing but the lost head
            url = f"{service.url}/api/v0/events/stream?after=0"
            login = ("admin", service.password)
            with httpx.stream("GET", url, auth=login, timeout=60) as stream:
                lines = stream.iter_lines()
                heard = [next(line for line in lines if line.startswith("id: ")) for _ in range(3)]
                pair.fail_over()
                wait_for(lambda: service.client.put("/cluster/after").status_code == 201)
                heard += [line for line in lines if line.startswith("id")]
        assert heard == ["id: 1", "id: 2", "id: 3", "id: 3"]
        assert went_back(service)[0]["common_position"] == 0
        assert [_resumed(service, id_) for id_ in (2, 3)] == [200, 409]


def _resumed(service: Service, last_id: int) -> int:
    """What a stream that goes on from an id is answered."""
    headers = {"Last-Event-ID": str(last_id)}
    with service.client.stream("GET", "/events/stream", headers=headers) as answer:
        return answer.status_code
