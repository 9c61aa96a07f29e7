"""A start with a clock that is years away from the log's."""

import json
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from domain.commands import fleet_commands
from domain.log import recorder
from runners.security.vault import master_key
from tests.end_to_end.test_serve import serve
from tests.support.service import Service, wait_for
from tests.support.stores import Store, done

TIMES = {"behind": "2126-01-02T03:04:05.000000", "ahead": "2016-01-02T03:04:05.000000"}
"""How the clock is, and what the log says."""


def written(service: Service, database_url: str, time: str) -> None:
    """A log whose only events are of this time."""
    file = service.data / "commissaire.db"
    url = f"sqlite:///{file}" if database_url.startswith("sqlite") else database_url
    master_key(None, service.data / "master.key")
    with ExitStack() as opened, pytest.MonkeyPatch.context() as patched:
        patched.setattr(recorder, "now", lambda: time)
        with Store(url, opened).create().writer() as writer:
            done(writer, fleet_commands.create_cluster, "old", "default", "")


def clock_of(service: Service) -> dict[str, object]:
    """What `/readyz` says of the clock."""
    answer = httpx.get(f"{service.url}/readyz", timeout=30)
    assert answer.status_code == 200, "it warns: the service does its work"
    (part,) = (part for part in answer.json()["parts"] if part["name"] == "clock")
    return dict(part)


@pytest.mark.parametrize("how", TIMES)
def test_a_clock_that_is_years_away_from_the_log_is_told_and_may_be_refused(
    tmp_path: Path, database_url: str, how: str
) -> None:
    service = Service(tmp_path / "service", database_url)
    written(service, database_url, TIMES[how])
    database = () if database_url.startswith("sqlite") else ("--database", database_url)
    refused = serve("--port", "0", "--refuse-wrong-clock", *database, data=service.data)
    assert refused.returncode == 1
    assert "Set the clock, or start without --refuse-wrong-clock." in refused.stderr
    with service:
        part = wait_for(lambda: clock_of(service))
        assert (part["ready"], part["kind"]) == (True, f"clock.{how}")
        assert TIMES[how] in str(part["reason"])
        lines = [json.loads(line) for line in service.read_log().splitlines() if line[:1] == "{"]
        (line,) = (line for line in lines if line["event"] == f"clock.{how}")
        assert (line["level"], line["reason"][:9]) == ("warning", "The clock")
        assert service.client.put("/cluster/new").status_code == 201
        assert service.client.get("/clusters").json() == ["new", "old"]


def test_a_clock_that_is_right_is_no_news(service: Service) -> None:
    service.client.put("/cluster/web").raise_for_status()
    service.stop()
    service.restart_with("--refuse-wrong-clock")
    assert clock_of(service) == {"name": "clock", "ready": True}
