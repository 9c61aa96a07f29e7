"""Event streams of those who are slow, silent or many, and what they cost."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from runners.http_server.connection import Connection
from tests.support.service import wait_for
from tests.web.events.listening import (
    ENDS_WITHIN_S,
    LARGE,
    LISTENERS,
    Listener,
    beat,
    gather,
    host,
    listening,
)
from tests.web.service import WebService, serving
from web.events import event_stream, live_window

__all__ = ["host"]


def test_a_silent_stream_has_heartbeats_and_is_told_who_it_is_for_again(
    service: WebService, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put("/cluster/web")
    monkeypatch.setattr(event_stream, "LIFE_S", 0.0)
    with listening(service) as listener:
        assert next(listener.blocks)[0].startswith("retry: ")
        service.run(beat(service))
        assert [*listener.blocks] == [[":"]]  # its time was up: it ended with that


def test_a_listener_that_is_too_slow_is_sent_away_and_misses_nothing(
    service: WebService, api: httpx.Client, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_window, "RECENT_EVENTS_MAX", 20)
    # As little as possible is on its way between the service and the slow one.
    with listening(service, buffer_bytes=4096) as slow, listening(service) as quick:
        gather(service, 0)
        first = slow.events(1)
        assert quick.events(1) == first
        for number in range(1, 120):
            gather(service, number, "x" * LARGE)
            (event,) = quick.events(1)
            assert event["data"]["os_version"].endswith(f"-{number}")
        said = first + slow.events()
        assert slow.last is not None
        position = slow.last
    assert 1 < len(said) < 100
    whole = events_after(api, int(said[0]["id"]) - 1)
    with listening(service, "", position) as again:
        assert said + again.events(len(whole) - len(said)) == whole
    assert service.live.left_behind == 1


def test_a_listener_that_reads_nothing_and_loses_its_user_is_hung_up_on(
    service: WebService, api: httpx.Client, host: str
) -> None:
    for number in range(60):
        gather(service, number, "x" * LARGE)
    with listening(service, "?after=0", buffer_bytes=4096):
        everybody = service.server._pool.state.connections
        wait_for(
            lambda: any(isinstance(one, Connection) and one.flow.write_paused for one in everybody)
        )
        open_before = len(everybody)
        del service.users.users["viewer"]
        wait_for(lambda: len(everybody) < open_before, ENDS_WITHIN_S)
        wait_for(lambda: service.live.listeners == 0)


def events_after(api: httpx.Client, position: int) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    while page := api.get("/events", params={"after": position, "limit": 1000}).json():
        found += page
        position = int(page[-1]["id"])
    return found


def test_five_hundred_listeners_are_told_everything(service: WebService, api: httpx.Client) -> None:
    listeners = [Listener(service) for _ in range(LISTENERS)]
    try:
        assert {listener.status for listener in listeners} == {200}
        start = service.live.head
        for number in range(5):
            api.put(f"/cluster/c{number}")
        whole = events_after(api, start)
        assert len(whole) >= 5
        for listener in listeners:
            assert listener.events(len(whole)) == whole
    finally:
        for listener in listeners:
            listener.close()
    wait_for(lambda: service.live.listeners == 0)


def test_where_nobody_listens_nothing_is_kept(service: WebService, api: httpx.Client) -> None:
    with listening(service):
        api.put("/cluster/heard")
        wait_for(lambda: service.live.begin < service.live.head)
    wait_for(lambda: service.live.listeners == 0)
    api.put("/cluster/unheard")
    wait_for(lambda: service.live.begin == service.live.head)


def test_there_is_room_for_so_many_listeners_only(tmp_path: Path) -> None:
    with serving(tmp_path, listeners_max=2) as service:
        with listening(service) as one, listening(service) as two, listening(service) as three:
            assert (one.status, two.status, three.status) == (200, 200, 503)
            assert three.headers["retry-after"]
            with service.client() as client:
                assert client.get("/clusters").status_code == 200
        wait_for(lambda: service.live.listeners == 0)
        with listening(service) as again:
            assert again.status == 200


@pytest.mark.parametrize(
    ("query", "last", "status"),
    [
        ("", "x", 400),
        ("", "-1", 400),
        ("?after=x", None, 400),
        ("?until=2015-12-17", None, 400),
        ("?limit=3", None, 400),
        ("?type=host.flown", None, 400),
        ("?after=7000", None, 409),
        ("", "9223372036854775807", 409),
    ],
)
def test_what_cannot_be_listened_to_is_refused(
    front: WebService, query: str, last: str | None, status: int
) -> None:
    with listening(front, query, last) as listener:
        assert listener.status == status
        assert listener.headers["content-type"] == "application/problem+json"


def test_head_and_strangers_are_answered_at_once(front: WebService) -> None:
    url = f"{front.url}/api/v0/events/stream"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("viewer", "wrong")).status_code == 403
    head = httpx.head(url, auth=("viewer", "viewer"))
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream")
    assert front.live.listeners == 0


def test_the_end_of_the_service_is_the_end_of_its_streams(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        listener = Listener(service)
        with service.client() as client:
            client.put("/cluster/web")
        assert listener.events(1)
    assert listener.events() == []
    assert listener.socket.recv(1) == b""
    listener.close()
