"""A listener of `/events/stream` misses nothing and hears nothing twice, whatever is killed."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.support.service import Service, wait_for

KILLS = 2
HEARD_PER_LIFE = 15
TIMEOUT_S = 60


class Hearer:
    """Listens as a browser does: comes back with the last id, wherever the service is then."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.ids: list[int] = []
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.done.is_set():
            try:
                self._listen()
            except httpx.HTTPError:
                self.done.wait(0.05)

    def _listen(self) -> None:
        last = {"Last-Event-ID": str(self.ids[-1] if self.ids else 0)}
        url = f"{self._service.url}/api/v0/events/stream"
        auth = ("viewer", self._service.password)
        with httpx.stream("GET", url, auth=auth, headers=last, timeout=TIMEOUT_S) as answer:
            position = 0
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    position = int(line.removeprefix("id: "))
                if line.startswith("data: "):
                    self.ids.append(position)
                if self.done.is_set():
                    return

    def wait_for(self, count: int) -> None:
        wait_for(lambda: len(self.ids) > count, TIMEOUT_S)

    def join(self) -> None:
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()


class Load:
    """Clusters are created, as fast as it goes, by a client that tries again."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        auth = ("admin", self._service.password)
        while not self.done.is_set():
            try:
                url = f"{self._service.url}/api/v0/cluster/c{number}"
                if httpx.put(url, auth=auth, timeout=TIMEOUT_S).status_code == 201:
                    number += 1
            except httpx.HTTPError:
                self.done.wait(0.05)

    def stop(self) -> None:
        self.done.set()
        self._thread.join(TIMEOUT_S)


def positions(service: Service) -> Iterator[int]:
    """What the log has, by `/events`."""
    after = 0
    while page := service.client.get(f"/events?limit=1000&after={after}").json():
        for event in page:
            after = int(event["id"])
            yield after


def test_kill_9_again_and_again_loses_and_repeats_nothing(
    tmp_path: Path, database_url: str
) -> None:
    with Service(tmp_path, database_url) as service:
        hearer, load = Hearer(service), Load(service)
        for _ in range(KILLS):
            heard = len(hearer.ids)
            hearer.wait_for(heard + HEARD_PER_LIFE)
            service.kill()
            service.start()
        load.stop()
        whole = [*positions(service)]
        wait_for(lambda: hearer.ids[-1:] == whole[-1:], TIMEOUT_S)
        hearer.done.set()
        service.client.put("/cluster/last-word")  # so that there is something to hear
        assert hearer.ids[: len(whole)] == whole
        hearer.join()


def test_open_streams_do_not_hold_up_the_end_of_the_service(tmp_path: Path) -> None:
    # Whoever waited for the streams to end by themselves would wait longer than the test does.
    with Service(tmp_path, None, "--shutdown-timeout-s", "600") as service:
        service.client.put("/cluster/web")
        hearers = [Hearer(service) for _ in range(5)]
        wait_for(lambda: all(hearer.ids for hearer in hearers), TIMEOUT_S)
        assert service.stop() == 0
        for hearer in hearers:
            hearer.done.set()
        for hearer in hearers:
            hearer.join()
        service.start()


def test_what_another_process_appends_is_heard_too(tmp_path: Path, postgres_url: str) -> None:
    with Service(tmp_path, postgres_url) as here:
        other = Service(tmp_path / "other", postgres_url)
        other.data.joinpath("master.key").write_bytes(here.data.joinpath("master.key").read_bytes())
        with other:
            hearer = Hearer(here)
            load, there = Load(here), Load(other)
            hearer.wait_for(HEARD_PER_LIFE)
            load.stop()
            there.stop()
            whole = [*positions(here)]
            wait_for(lambda: hearer.ids[-1:] == whole[-1:], TIMEOUT_S)
            hearer.done.set()
            assert other.client.put("/cluster/last-word").status_code == 201
            assert hearer.ids[: len(whole)] == whole
            hearer.join()
