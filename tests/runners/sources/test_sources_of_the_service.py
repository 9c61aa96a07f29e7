"""Sources as an operator has them: one that hangs, one that tells secrets, one that is gone."""

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.service import Service, wait_for
from tests.web.service import base64_of, new_key

HOST = "/host/127.77.0.1"
SECRET = secrets.token_urlsafe()
LIMIT_S = 60.0


class Inventory(ThreadingHTTPServer):
    """Answers what the test wants, once it is free to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.answers = threading.Event()
        self.status, self.body = 200, b"{}"
        self.asked: list[str] = []

    def settings(self, token: Path, stale_after_s: float = 600) -> str:
        """As it is in the settings, called `cmdb`."""
        return (
            f'[sources.cmdb]\ntype = "http"\nurl = "http://127.0.0.1:{self.server_port}/{{address}}"'
            f"\ncache_s = 0.1\nstale_after_s = {stale_after_s}\n"
            f'headers = {{ Authorization = {{ file = "{token}", prefix = "Bearer " }} }}\n'
        )


class Answer(BaseHTTPRequestHandler):
    """One question."""

    server: Inventory

    def do_GET(self) -> None:
        """Answer."""
        self.server.asked.append(self.headers.get("Authorization", ""))
        self.server.answers.wait(LIMIT_S)
        with suppress(BrokenPipeError):  # who asked may have given up
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(self.server.body)

    def log_request(self, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    """An inventory that listens."""
    with Inventory() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.answers.set()
        server.shutdown()
        thread.join(LIMIT_S)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The file that the inventory's secret is in."""
    path = tmp_path / "token"
    path.write_text(SECRET + "\n")
    return path


def config(folder: Path, text: str) -> tuple[str, str]:
    """A flag for a file of settings."""
    path = folder / "commissaire.toml"
    path.write_text(text)
    return "--config", str(path)


def body(source: str = "cmdb") -> dict[str, object]:
    return {"ssh_priv_key": base64_of(new_key()), "source": source}


def scraped(service: Service) -> str:
    return httpx.get(f"{service.url}/metrics").text


def test_a_source_that_hangs_holds_up_no_answer_and_not_the_end(
    tmp_path: Path, inventory: Inventory, token: Path
) -> None:
    flags = config(tmp_path, inventory.settings(token) + "timeout_s = 60\n")
    with Service(tmp_path / "service", None, *flags) as service:
        put = service.client.put(HOST, json=body())
        assert put.status_code == 201
        wait_for(lambda: inventory.asked)
        shown = service.client.get(HOST)  # while it is asked, and does not answer
        assert (shown.json()["cpus"], shown.json()["source"]) == (0, "cmdb")
        assert not inventory.answers.is_set()
        assert service.stop() == 0


def test_what_a_source_is_told_in_secret_is_nowhere(
    tmp_path: Path, inventory: Inventory, token: Path, database_url: str
) -> None:
    inventory.answers.set()
    flags = config(tmp_path, inventory.settings(token, stale_after_s=0.1))
    with Service(tmp_path / "service", database_url, *flags) as service:
        inventory.body = json.dumps({"os": f"Bearer {SECRET}", "cpus": SECRET}).encode()
        assert service.client.put(HOST, json=body()).status_code == 201
        wait_for(lambda: "source.became_stale" in service.read_log())
        wait_for(lambda: 'commissaire_source_stale{source="cmdb"} 1.0' in scraped(service))
        assert inventory.asked[0] == f"Bearer {SECRET}"
        inventory.status = 401
        wait_for(lambda: "It answered 401." in service.read_log())
        inventory.status, inventory.body = 200, b'{"cpus": 48}'
        wait_for(lambda: "source.came_back" in service.read_log())
        wait_for(lambda: service.client.get(HOST).json()["cpus"] == 48)
        assert 'commissaire_source_stale{source="cmdb"} 0.0' in scraped(service)
        assert SECRET not in scraped(service)
        assert SECRET not in service.client.get(HOST).text
        assert service.stop() == 0
    files = [path for path in (tmp_path / "service").rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert any(path.name == "log" for path in files)


def test_hosts_of_a_source_that_was_taken_out_of_the_settings_stay_as_they_are(
    tmp_path: Path, inventory: Inventory, token: Path, database_url: str
) -> None:
    inventory.answers.set()
    inventory.body = b'{"os": "rhel", "cpus": 48}'
    flags = config(tmp_path, inventory.settings(token))
    asked = body()
    with Service(tmp_path / "service", database_url, *flags) as service:
        assert service.client.put(HOST, json=asked).status_code == 201
        wait_for(lambda: service.client.get(HOST).json()["cpus"] == 48)
        service.stop()
        config(tmp_path, "")
        service.start()
        wait_for(lambda: "source.unknown" in service.read_log())
        record = service.client.get(HOST).json()
        assert (record["os"], record["cpus"], record["source"]) == ("rhel", 48, "cmdb")
        again = service.client.put(HOST, json=asked)
        assert (again.status_code, again.json()["cpus"]) == (201, 48)
        refused = service.client.put("/host/127.77.0.2", json=body())
        assert (refused.status_code, refused.json()["errors"][0]["key"]) == (400, "source")
        assert service.client.delete(HOST).status_code == 200
        assert service.client.put(HOST, json=asked).status_code == 400
        service.stop()
        config(tmp_path, inventory.settings(token))
        service.start()
        assert service.client.put(HOST, json=asked).status_code == 201
        wait_for(lambda: service.client.get(HOST).json()["cpus"] == 48)
