"""Clients that go on through a failover: they write and listen, and keep what they were told."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import httpx

from tests.support.service import Service, wait_for

WRITERS = 2
"""For each service."""
PAUSE_S = 0.1
"""After what was refused, or a stream that ended."""
PAGE = 1000
LIMIT_S = 60.0


class Told(NamedTuple):
    """An event of the log, as it is listed and streamed."""

    position: int
    type: str
    subject: str


@dataclass
class Listener:
    """A client of the event stream of one service, which resumes where a stream ended."""

    service: Service
    heard: list[Told] = field(default_factory=list)
    was_told: bool = False
    """Whether it was told that the log went back: a stream ended so, or its id was refused."""
    last_id: str = "0"

    def listen(self) -> None:
        """To one stream, until it ends."""
        headers = {"Last-Event-ID": self.last_id}
        with self.service.client_as("admin") as client:
            stream = client.stream("GET", "/events/stream", headers=headers, timeout=LIMIT_S)
            with stream as answer:
                if answer.status_code == 409:
                    self.was_told = True
                    self.last_id = self._common()
                elif answer.status_code == 200:
                    for line in answer.iter_lines():
                        self._take(line)

    def _take(self, line: str) -> None:
        name, _, value = line.partition(": ")
        if name == "id":
            self.last_id = value
        elif name == "data":
            event = json.loads(value)
            self.heard.append(Told(int(event["id"]), event["type"], event["subject"]))
        elif line.startswith(": the log went back"):
            self.was_told = True

    def _common(self) -> str:
        return str(min(int(each["common_position"]) for each in went_back(self.service)))


class Traffic:
    """Writers and a listener for each service, from `with` on until its end."""

    def __init__(self, services: Sequence[Service]) -> None:
        self.services = services
        self.answered: list[tuple[Service, str, str]] = []
        """Who answered a change, its type and its subject."""
        self.refused = 0
        self.listeners = [Listener(service) for service in services]
        self._errors: list[BaseException] = []
        self._stop = threading.Event()
        writers: list[Callable[[], None]] = [
            lambda s=service, n=f"w{index}-{number}": self._write(s, n)  # type: ignore[misc]  # defaults bind the loop's variables
            for index, service in enumerate(services)
            for number in range(WRITERS)
        ]
        listeners = [lambda each=each: self._listen(each) for each in self.listeners]
        self._threads = [
            threading.Thread(target=self._guarded, args=(run,), daemon=True)
            for run in (*writers, *listeners)
        ]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        self.go_on(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:  # the last event of all is heard by everybody
            self.go_on(1)
            wait_for(self._end_the_log)
            end = listed(self.services[0])[-1]
            wait_for(lambda: self._errors or all(end in each.heard for each in self.listeners))
        self._stop.set()
        for thread in self._threads[: WRITERS * len(self.services)]:
            thread.join()
        if kind is None and self._errors:
            raise self._errors[0]

    def go_on(self, changes: int) -> None:
        """Wait until so many more changes were answered, by any."""
        wanted = len(self.answered) + changes
        wait_for(lambda: self._errors or len(self.answered) >= wanted, LIMIT_S * 2)

    def _end_the_log(self) -> bool:
        """By a change after which there is none."""
        self._stop.set()
        for thread in self._threads[: WRITERS * len(self.services)]:
            thread.join()
        return self.services[0].client.put("/cluster/the-end").status_code == 201

    def _write(self, service: Service, name: str) -> None:
        with service.client_as("admin") as client:
            for number in count():
                if self._stop.is_set():
                    return
                subject = f"{name}-{number}"
                status = client.put(f"/cluster/{subject}").status_code
                self._note(service, status, 201, "cluster.created", subject)
                if status == 201 and number % 5 == 0:
                    status = client.delete(f"/cluster/{subject}").status_code
                    if status != 404:  # its creation was lost meanwhile
                        self._note(service, status, 200, "cluster.removed", subject)

    def _note(self, service: Service, status: int, good: int, type_: str, name: str) -> None:
        if status == good:
            self.answered.append((service, type_, f"cluster/{name}"))
            return
        assert status == 503, (status, type_, name)
        self.refused += 1
        self._stop.wait(PAUSE_S)

    def _listen(self, listener: Listener) -> None:
        while not self._stop.is_set() or listener.heard[-1:] != listed(listener.service)[-1:]:
            listener.listen()
            self._stop.wait(PAUSE_S)

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for us
            self._errors.append(error)


def listed(service: Service) -> list[Told]:
    """The whole log, oldest first."""
    found: list[Told] = []
    while True:
        after = found[-1].position if found else 0
        answer = service.client.get("/events", params={"after": after, "limit": PAGE})
        page = [Told(int(e["id"]), e["type"], e["subject"]) for e in answer.json()]
        if not page:
            return found
        found += page


def went_back(service: Service) -> list[dict[str, Any]]:
    """What the log says of itself."""
    found = service.client.get("/events", params={"type": "log.went_back"})
    return [dict(event["data"]) for event in found.json()]


def lost(service: Service) -> set[tuple[str, str]]:
    """Type and subject of the changes that this process says are lost."""
    lines = service.read_log().splitlines()
    told = [json.loads(line) for line in lines if '"event":"log.change_lost"' in line]
    return {(line["type"], line["subject"]) for line in told}


def must_be_told_of_all(traffic: Traffic) -> set[tuple[str, str]]:
    """What was answered is there, or who answered it says that it is lost; gives what is lost."""
    log = listed(traffic.services[0])
    there = {(each.type, each.subject) for each in log}
    for service, type_, subject in traffic.answered:
        assert (type_, subject) in there or (type_, subject) in lost(service), (type_, subject)
    answered = {(type_, subject) for _, type_, subject in traffic.answered}
    gone = answered & {key for service in traffic.services for key in lost(service)}
    assert not gone & there
    clusters = {s for t, s in answered - gone if t == "cluster.created"}
    clusters -= {s for t, s in there if t == "cluster.removed"}
    for service in traffic.services:
        shown = {f"cluster/{name}" for name in service.client.get("/clusters").json()}
        assert clusters <= shown
    return gone


def streams_must_be_whole(traffic: Traffic) -> None:
    """Or ended openly: who heard of what is lost was told, and resumed before it."""
    log = listed(traffic.services[0])
    there, losses = set(log), went_back(traffic.services[0])
    for listener in traffic.listeners:
        assert sorted(set(listener.heard) & there) == log
        for told in set(listener.heard) - there:
            assert listener.was_told
            assert any(
                each["common_position"] < told.position <= each["skipped_position"]
                for each in losses
            ), told


def must_be_well(*services: Service) -> None:
    """Each process says that it is, and the log and the read models are whole."""
    for service in services:
        wait_for(lambda s=service: ready(s))  # type: ignore[misc]  # binds the loop's variable
        assert '"level":"error"' not in service.read_log()
    for words in (("log", "check"), ("projections", "verify")):
        line = [sys.executable, "-m", "runners.cli", *words, "--data", str(services[0].data)]
        environment = services[0].environment()
        ended = subprocess.run(
            line, capture_output=True, text=True, env=environment, check=False, timeout=LIMIT_S
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def ready(service: Service) -> bool:
    """Whether all its parts are."""
    return bool(httpx.get(f"{service.url}/readyz", timeout=LIMIT_S).json()["status"] == "ready")
