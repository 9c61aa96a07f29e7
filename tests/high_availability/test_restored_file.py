"""A backup of the SQLite file is put back while the service runs, which nobody should do."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.test_lost_log import refusal
from tests.faults.client import registration
from tests.high_availability.test_log_went_back import put, went_back
from tests.support.service import Service


def back_up(live: Path, copy: Path) -> None:
    """As `.backup` of sqlite3 does."""
    with sqlite3.connect(live) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()


def test_a_file_that_is_restored_under_a_running_service_is_the_truth(tmp_path: Path) -> None:
    with Service(tmp_path / "service", None, "--no-runners") as service:
        live, copy = service.data / "commissaire.db", tmp_path / "copy.db"
        put(service, "kept", "web")
        back_up(live, copy)
        put(service, "lost")
        assert service.client.delete("/cluster/web").status_code == 200
        back_up(copy, live)  # as `.restore` does
        assert service.client.get("/clusters").json() == ["kept", "web"]
        put(service, "after")
        assert service.client.delete("/cluster/web").status_code == 200
        assert service.client.get("/clusters").json() == ["after", "kept"]
        (event,) = went_back(service)
        assert [change.split()[1:] for change in event["changes"]] == [
            ["cluster.created", "cluster/lost", "admin"],
            ["cluster.removed", "cluster/web", "admin"],
        ]
        check(service)
        service.stop()
        service.start()
        assert service.client.get("/clusters").json() == ["after", "kept"]


def test_a_host_that_was_lost_is_told_as_such_until_it_is_registered_again(tmp_path: Path) -> None:
    with Service(tmp_path / "service", None, "--no-runners") as service:
        live, copy = service.data / "commissaire.db", tmp_path / "copy.db"
        put(service, "kept")
        back_up(live, copy)
        assert service.client.put("/host/10.0.0.7", json=registration()).status_code == 201
        back_up(copy, live)
        put(service, "after")
        for path in ("/host/10.0.0.7", "/host/10.0.0.7/status"):
            gone = service.client.get(path)
            assert gone.status_code == 404
            assert "There is no host 10.0.0.7 any more" in gone.json()["detail"]
        assert "any more" not in service.client.get("/host/10.0.0.8").json()["detail"]
        assert service.client.put("/host/10.0.0.7", json=registration()).status_code == 201
        assert service.client.get("/host/10.0.0.7").status_code == 200
        assert service.client.delete("/host/10.0.0.7").status_code == 200
        assert "any more" not in service.client.get("/host/10.0.0.7").json()["detail"]


def test_a_file_that_was_replaced_is_not_written_to_any_more(tmp_path: Path) -> None:
    with Service(tmp_path / "service", None, "--no-runners") as service:
        live, copy = service.data / "commissaire.db", tmp_path / "copy.db"
        put(service, "kept")
        back_up(live, copy)
        put(service, "lost")
        shutil.move(copy, live)
        refused = service.client.put("/cluster/after")
        assert refused.status_code == 503
        assert "was replaced" in refused.json()["detail"]
        service.stop()
        service.restart_with("--accept-log", refusal(service).rpartition("--accept-log ")[2])
        put(service, "after")
        assert service.client.get("/clusters").json() == ["after", "kept"]
        check(service)


@pytest.mark.parametrize("moved", [False, True])
def test_a_file_that_is_gone_is_not_written_to_any_more(tmp_path: Path, moved: bool) -> None:
    with Service(tmp_path / "service", None, "--no-runners") as service:
        live = service.data / "commissaire.db"
        put(service, "kept")
        if moved:
            live.rename(tmp_path / "moved.db")
        else:
            live.unlink()
        for _ in range(3):
            assert service.client.put("/cluster/lost").status_code == 503


def check(service: Service) -> None:
    """The log is whole."""
    command = [sys.executable, "-m", "runners.cli", "log", "check", "--data", str(service.data)]
    environment = service.environment()
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
