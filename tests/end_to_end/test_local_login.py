"""Whoever may read the data directory of a service is let in on its machine."""

import json
import stat
from pathlib import Path
from typing import Any

import httpx

from tests.support.service import Service


def told(service: Service) -> Any:
    """What the file says."""
    return json.loads((service.data / "local.json").read_text())


def ask(service: Service, token: str) -> httpx.Response:
    """A change, with the token."""
    return httpx.put(
        f"{service.url}/api/v0/cluster/web", headers={"Authorization": f"Bearer {token}"}
    )


def test_the_token_of_the_file_is_an_administrator_and_is_named_in_the_log(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        local = told(service)
        assert local["url"] == service.url
        assert stat.S_IMODE((service.data / "local.json").stat().st_mode) == 0o600
        assert local["pid"] == service.pid
        assert ask(service, local["token"]).status_code == 201
        (event,) = service.client.get("/events", params={"subject": "cluster/web"}).json()
        assert event["actor"] == f"local:{(service.data / 'local.json').owner()}"
        assert local["token"] not in service.read_log()


def test_the_token_is_worth_nothing_after_a_restart_and_the_file_is_gone_after_the_end(
    tmp_path: Path,
) -> None:
    with Service(tmp_path) as service:
        before = told(service)["token"]
        service.kill()
        service.start()
        assert told(service)["token"] != before
        assert ask(service, before).status_code == 403
        service.stop()
        assert not (service.data / "local.json").exists()


def test_the_file_of_another_process_of_the_same_directory_stays(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        other = {"url": "http://127.0.0.1:1", "token": "cmsr_other", "pid": 1}
        (service.data / "local.json").write_text(json.dumps(other))
        service.stop()
        assert told(service) == other


def test_a_service_on_all_addresses_is_reached_on_loopback(tmp_path: Path) -> None:
    with Service(tmp_path, None, "--host", "0.0.0.0") as service:  # noqa: S104 - of this machine
        assert told(service)["url"].startswith("http://127.0.0.1:")
        assert ask(service, told(service)["token"]).status_code == 201
