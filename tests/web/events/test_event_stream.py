"""`/events/stream`: what happens, once and in order, to whoever listens, however slowly."""

import threading
from itertools import islice
from typing import Any

import httpx
import pytest

from tests.web.events.listening import beat, host, listening, logged
from tests.web.service import WebService
from web.events import event_stream, live_window

__all__ = ["host"]


def test_what_happens_is_told_as_the_log_has_it(service: WebService, api: httpx.Client) -> None:
    api.put("/cluster/before")
    with listening(service) as listener:
        assert listener.status == 200
        assert listener.headers["content-type"] == "text/event-stream"
        for name in ("web", "db", "cache"):
            api.put(f"/cluster/{name}")
        found = logged(api, after=logged(api, subject="cluster/before")[0]["id"])
        assert listener.events(len(found)) == found
        assert "cluster/web" in {event["subject"] for event in found}


def test_a_listener_resumes_where_it_was_told_last(service: WebService, api: httpx.Client) -> None:
    for number in range(30):
        api.put(f"/cluster/c{number}")
    whole = logged(api)
    last = "0"
    found: list[dict[str, Any]] = []
    while len(found) < len(whole):
        with listening(service, "?after=3", last) as listener:  # the header wins
            found += listener.events(min(7, len(whole) - len(found)))
            assert listener.last is not None
            last = listener.last
    assert found == whole
    with listening(service, f"?after={whole[4]['id']}") as listener:
        assert listener.events(3) == whole[5:8]
    with listening(service, f"?since={whole[9]['time']}") as listener:
        assert listener.events(3) == whole[9:12]


def test_resuming_again_and_again_under_load_misses_nothing(
    service: WebService, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_window, "RECENT_EVENTS_MAX", 5)  # so that the log is needed, too
    monkeypatch.setattr(event_stream, "PAGE_EVENTS", 3)
    total = 120

    def write() -> None:
        with service.client() as client:
            for number in range(total):
                client.put(f"/cluster/c{number}")

    writing = threading.Thread(target=write)
    writing.start()
    found: list[dict[str, Any]] = []
    last, count = "0", 1
    while not (found and found[-1]["data"].get("name") == f"c{total - 1}"):
        with listening(service, "", last) as listener:
            for event in islice(listener.each, count):
                found.append(event)
                if event["data"].get("name") == f"c{total - 1}":
                    break
            last, count = listener.last or last, count % 11 + 1
    writing.join()
    assert found == logged(api)[: len(found)]


def test_filters_are_those_of_events(service: WebService, api: httpx.Client) -> None:
    api.put("/cluster/web")
    with (
        service.client("operator") as operator,
        listening(service, "?subject=cluster/db&type=cluster.created") as one,
        listening(service, "?actor=operator", "0") as two,
        listening(service, "?actor=nobody", "0") as three,
    ):
        operator.put("/cluster/db")
        api.put("/cluster/cache")
        operator.put("/cluster/web2")
        assert [event["subject"] for event in one.events(1)] == ["cluster/db"]
        told = two.events(len(logged(api, actor="operator")))
        assert told == logged(api, actor="operator")
        service.run(beat(service))
        # Nothing is told to the third, but where to go on from.
        head = logged(api)[-1]["id"]
        ids = (line for lines in three.blocks for line in lines)
        assert f"id: {head}" in ids


def test_one_stream_is_of_several_subjects_live_and_resumed(
    service: WebService, api: httpx.Client
) -> None:
    for name in ("web", "db", "cache"):
        api.put(f"/cluster/{name}")
    query = "?subject=cluster/web&subject=cluster/cache&subject=cluster/web&subject=host/10.0.0.9"

    def of_both() -> list[dict[str, Any]]:
        return [
            event for event in logged(api) if event["subject"] in ("cluster/web", "cluster/cache")
        ]

    with listening(service, query, "0") as resumed, listening(service, query) as live:
        for path in ("web", "db", "cache"):
            api.delete(f"/cluster/{path}")
        assert resumed.events(4) == of_both()
        assert live.events(2) == of_both()[2:]
    with listening(service, f"{query}&type=cluster.removed", "0") as removed:
        assert removed.events(2) == of_both()[2:]
    assert api.get("/events/stream?" + "&".join(["subject=x/1"] * 51)).status_code == 400
    assert api.get("/events/stream?subject=x/1&subject=").status_code == 400
    assert api.get("/events?subject=x/1&subject=x/2").status_code == 400


def test_a_stream_of_a_subject_that_is_quiet_is_quiet(
    service: WebService, api: httpx.Client
) -> None:
    """It looked at the same page again and again, and told the same id each time."""
    api.put("/cluster/web")
    api.put("/cluster/db")
    with listening(service, "?subject=cluster/web", "0") as listener:
        assert len(listener.events(1)) == 1
        api.put("/cluster/cache")
        head = logged(api)[-1]["id"]
        service.run(beat(service))
        assert [f"id: {head}"] in islice(listener.blocks, 3)
