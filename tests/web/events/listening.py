"""A client of event streams, and events to listen to."""

import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import httpx
import pytest

from domain.aggregates.host_events import FactsGathered
from tests.web.service import WebService

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


async def beat(service: WebService) -> None:
    """The time for a heartbeat has come."""
    service.live.beat()
