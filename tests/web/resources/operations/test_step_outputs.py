"""The output of a step from a byte on, in parts, and followed to its end."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.commands import operation_commands
from projections.beside_the_log import outputs
from tests.support.service import wait_for
from tests.web.resources.operations.test_operations import (
    ADDRESSES,
    advance,
    begun,
    cluster_of,
    done,
    failed,
)
from tests.web.service import WebService, serving
from web.events import output_stream
from web.http.shown_text import shown, whole

AT = "2026-01-02T03:04:05.000006"
SAID = b"Upgrading:\nkernel \xff\x1b[2J \xe2\x82\xac\r\nComplete!\n"
SHOWN = "Upgrading:\nkernel \\xff\\x1b[2J €\nComplete!\n".encode()


def keep(service: WebService, name: str, place: int, piece: bytes) -> None:
    """A step has said something more."""
    service.perform(
        lambda unit: unit.write_beside(
            lambda tx: outputs.add(tx, name, ADDRESSES[0], place, piece, AT)
        )
    )


@pytest.fixture
def name(service: WebService, api: httpx.Client, key: str) -> str:
    """An operation that has its first host in process."""
    cluster_of(service, api, key, *ADDRESSES)
    found = begun(api)
    advance(service, found)
    return found


def path_of(name: str) -> str:
    return f"/operation/{name}/hosts/{ADDRESSES[0]}/output"


class Following:
    """The events of one output, as a client hears them."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream"
        self.last = 0
        self._lines = answer.iter_lines()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        kind, data = "message", []
        for line in self._lines:
            field, _, value = line.partition(": ")
            match field:
                case "event":
                    kind = value
                case "id":
                    self.last = int(value)
                case "data" | "data:":
                    data.append(value)
                case "":
                    if data:
                        yield kind, "\n".join(data)
                    kind, data = "message", []
                case _:
                    pass  # a comment, or when to come back

    def text(self) -> str:
        """All that is said, to the end."""
        found = ""
        for kind, data in self:
            if kind == "end":
                return found + f"<{json.loads(data)['outcome']}>"
            found += data
        raise AssertionError(f"no end after {found!r}")


def follow(api: httpx.Client, name: str, **more: Any) -> Any:
    """Follow an output."""
    headers = {"accept": "text/event-stream"} | more.pop("headers", {})
    return api.stream("GET", path_of(name), headers=headers, **more)


def test_an_output_is_read_from_a_byte_on_and_in_parts(
    service: WebService, api: httpx.Client, name: str
) -> None:
    keep(service, name, 0, SAID)
    path = path_of(name)

    def part(asked: str, **query: Any) -> tuple[int, bytes, str | None]:
        answer = api.get(path, headers={"range": asked}, params=query)
        return answer.status_code, answer.content, answer.headers.get("content-range")

    whole_answer = api.get(path)
    assert (whole_answer.content, whole_answer.headers["accept-ranges"]) == (SHOWN, "bytes")
    size = len(SHOWN)
    for offset in (0, 1, 11, size, size + 5):
        assert api.get(path, params={"offset": offset}).content == SHOWN[offset:]
    assert api.get(path, params={"offset": 18, "raw": ""}).content == SAID[18:]
    assert part("bytes=0-9") == (206, b"Upgrading:", f"bytes 0-9/{size}")
    assert part("bytes=11-") == (206, SHOWN[11:], f"bytes 11-{size - 1}/{size}")
    assert part("bytes=-10") == (206, b"Complete!\n", f"bytes {size - 10}-{size - 1}/{size}")
    assert part("bytes=5-999999") == (206, SHOWN[5:], f"bytes 5-{size - 1}/{size}")
    assert part("bytes=18-18", raw="") == (206, b"\xff", f"bytes 18-18/{len(SAID)}")
    assert part("bytes=0-9", offset=11) == (206, SHOWN[11:21], f"bytes 0-9/{size - 11}")
    for asked in (f"bytes={size}-", "bytes=-0", f"bytes={size}-{size + 9}"):
        status, body, place = part(asked)
        assert (status, place) == (416, f"bytes */{size}"), asked
        assert json.loads(body)["type"] == "urn:commissaire:problem:range"
    for asked in ("bytes=9-5", "bytes=0-1,3-4", "bytes=-", "lines=0-1", "bytes=x-", ""):
        assert part(asked) == (200, SHOWN, None), asked
    with_if = api.get(path, headers={"range": "bytes=0-9", "if-range": '"x"'})
    assert (with_if.status_code, with_if.content) == (200, SHOWN)
    for query in ("offset=-1", "offset=x", "offset=1&offset=2", "ofset=1"):
        assert api.get(f"{path}?{query}").status_code == 400


def test_half_a_character_is_told_when_it_is_whole(
    service: WebService, api: httpx.Client, name: str
) -> None:
    keep(service, name, 0, b"a \xe2\x82")
    path = path_of(name)
    assert api.get(path).content == b"a "
    keep(service, name, 4, b"\xac\r")
    assert api.get(path).content == "a €".encode()
    keep(service, name, 6, b"\n\xe2")
    assert api.get(path).content == "a €\n".encode()
    failed(service, name, ADDRESSES[0], "It broke.")
    assert api.get(path).content == "a €\n\\xe2".encode(), "no more comes"


@pytest.mark.parametrize("size", range(len(SAID) + 1))
def test_what_was_shown_stays_so_whatever_follows(size: int) -> None:
    first = whole(SAID[:size])
    assert len(first) >= size - 3
    assert shown(first) + shown(SAID[len(first) :]) == SHOWN


def test_a_step_is_followed_to_its_end_while_it_runs(
    service: WebService, api: httpx.Client, name: str
) -> None:
    keep(service, name, 0, SAID[:20])

    def go_on() -> None:
        for place in range(20, len(SAID), 7):
            keep(service, name, place, SAID[place : place + 7])
        done(service, name, ADDRESSES[0], "upgrade", {})

    with follow(api, name) as answer:
        running = threading.Thread(target=go_on)
        running.start()
        following = Following(answer)
        assert following.text() == SHOWN.decode() + "<done>"
        assert following.last == len(SHOWN)
        running.join()


def test_a_follower_resumes_at_a_byte(service: WebService, api: httpx.Client, name: str) -> None:
    keep(service, name, 0, SAID)
    with follow(api, name) as answer:
        following = Following(answer)
        _, first = next(iter(following))
        assert first == SHOWN.decode()
    failed(service, name, ADDRESSES[0], "It broke.")
    for last in (0, 11, following.last):
        rest = SHOWN[last:].decode() + "<failed>"
        with follow(api, name, headers={"last-event-id": str(last)}) as answer:
            assert Following(answer).text() == rest
        with follow(api, name, params={"offset": last}) as answer:
            assert Following(answer).text() == rest
    with follow(api, name, params={"offset": 5}, headers={"last-event-id": "11"}) as answer:
        assert Following(answer).text() == SHOWN[11:].decode() + "<failed>"
    for wrong in ({"headers": {"last-event-id": "x"}}, {"params": {"raw": ""}}):
        with follow(api, name, **wrong) as answer:
            assert answer.status_code == 400


def test_a_follower_of_a_host_that_never_begins_hears_of_the_end_of_the_operation(
    service: WebService, api: httpx.Client, name: str
) -> None:
    failed(service, name, ADDRESSES[0], "It broke.")
    path = f"/operation/{name}/hosts/{ADDRESSES[1]}/output"
    with api.stream("GET", path, headers={"accept": "text/event-stream"}) as answer:
        assert Following(answer).text() == "<waiting>"
    with follow(api, "00000000-0000-7000-8000-000000000000") as answer:
        assert answer.status_code == 404


def test_followers_are_counted_and_end_with_the_service(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_stream, "HEARTBEAT_S", 0.0)
    with serving(tmp_path, listeners_max=1) as service, service.client() as api:
        cluster_of(service, api, key, *ADDRESSES)
        name = begun(api)
        with follow(api, name) as answer:
            lines = answer.iter_lines()
            wait_for(lambda: ":" in next(lines))  # the comment of a heartbeat
            with follow(api, name) as second:
                assert second.status_code == 503
            service.run(service.live.stop(timeout_s=5))
            for _ in lines:
                pass
        service.perform(lambda unit: operation_commands.steer(unit, name, "cancelled"))
