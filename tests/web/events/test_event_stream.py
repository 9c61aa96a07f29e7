"""`/events/stream`: what happens, once and in order, to whoever listens, however slowly."""

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.aggregates.host_events import FactsGathered
from runners.http_server.connection import Connection
from tests.support.service import wait_for
from tests.web.service import WebService, serving
from web.events import event_stream, live_window

TIMEOUT_S = 60.0
LARGE = 200_000
ENDS_WITHIN_S = 2.0
LISTENERS = 500


class Listener:
    """A client that reads a stream as it is told to; over a bare socket, to see every byte."""

    def __init__(
        self,
        service: WebService,
        query: str = "",
        last: str | None = None,
        buffer_bytes: int = 1024 * 1024,
    ) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(("127.0.0.1", service.port))
        resumed = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        auth = b64encode(b"viewer:viewer").decode()
        self.socket.sendall(
            f"GET /api/v0/events/stream{query} HTTP/1.1\r\nHost: x\r\n{resumed}"
            f"Authorization: Basic {auth}\r\n\r\n".encode()
        )
        self._file = self.socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.partition(b": ")
            self.headers[name.decode()] = value.decode()
        self._text = b""
        self.last = last
        self.blocks = self._blocks()
        self.each = self._each()

    def _blocks(self) -> Iterator[list[str]]:
        """The lines of each block, until the stream ends."""
        while size := int(self._file.readline(), 16):
            self._text += self._file.read(size)
            self._file.readline()
            *blocks, self._text = self._text.split(b"\n\n")
            for block in blocks:
                yield block.decode().split("\n")
        self._file.readline()

    def _each(self) -> Iterator[dict[str, Any]]:
        """Every event, until the stream ends."""
        for lines in self.blocks:
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            self.last = fields.get("id", self.last)
            if "data" in fields:
                event = json.loads(fields["data"])
                assert event["id"] == fields["id"]
                yield event

    def events(self, count: int | None = None) -> list[dict[str, Any]]:
        """The next events, or all until the stream ends."""
        return list(islice(self.each, count))

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextmanager
def listening(
    service: WebService, query: str = "", last: str | None = None, **more: int
) -> Iterator[Listener]:
    listener = Listener(service, query, last, **more)
    try:
        yield listener
    finally:
        listener.close()


def logged(api: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = api.get("/events", params={"limit": 1000, **query})
    assert "link" not in answer.headers
    found: list[dict[str, Any]] = answer.json()
    return found


def gather(service: WebService, number: int, text: str = "40") -> None:
    """An event of the host; a large text makes it a large event."""
    facts = FactsGathered("fedora", f"{text}-{number}", 4, 11989228, 487652, "boot")
    service.perform(lambda unit: unit.host("10.0.0.7").gather_facts(facts))


@pytest.fixture
def host(service: WebService) -> str:
    """A host that is registered."""
    return add_host(service)


def add_host(service: WebService) -> str:
    service.parse_key = lambda raw: "SHA256:x"
    with service.client() as client:
        assert client.put("/host/10.0.0.7", json={"ssh_priv_key": "eA=="}).status_code == 201
    return "10.0.0.7"


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


async def beat(service: WebService) -> None:
    """The time for a heartbeat has come."""
    service.live.beat()


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
