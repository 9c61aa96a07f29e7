"""Commands that change accounts know of the log what the service on their data directory knew."""

import subprocess
import sys
from pathlib import Path

import httpx

from domain.log.continuity import POSITIONS_SKIPPED
from tests.end_to_end.processes.several import several
from tests.high_availability.pair import Pair
from tests.high_availability.test_log_went_back import QUIET, put, went_back
from tests.high_availability.traffic import lost
from tests.support.service import Service, wait_for

TIMEOUT_S = 60


def create_token(service: Service, name: str) -> "subprocess.CompletedProcess[str]":
    """By the command, beside the service or without it."""
    words = ("token", "create", name, "--role", "viewer", "--data", str(service.data))
    return subprocess.run(
        [sys.executable, "-m", "runners.cli", *words],
        capture_output=True,
        text=True,
        env=service.environment(),
        check=False,
        timeout=TIMEOUT_S,
    )


def test_a_command_after_a_failover_uses_no_lost_position_again(pair: Pair, tmp_path: Path) -> None:
    with several(1, tmp_path, [pair.url], *QUIET) as (service,):
        put(service, "kept")
        with pair.standby_misses():
            put(service, "lost0", "lost1", "lost2")
            service.stop()
        pair.fail_over()
        done = create_token(service, "ci")
        assert done.returncode == 0, done.stderr
        service.start()
        put(service, "after")
        there = [(int(e["id"]), e["type"]) for e in service.client.get("/events").json()]
        assert [type_ for _, type_ in there] == [
            "cluster.created",
            "log.went_back",
            "token.created",
            "log.went_back",  # by the service, which was told nothing by the command
            "cluster.created",
        ]
        assert all(position > POSITIONS_SKIPPED for position, _ in there[1:]), there
        named = {change.split()[2] for event in went_back(service) for change in event["changes"]}
        assert named == {"cluster/lost0", "cluster/lost1", "cluster/lost2"}


def test_a_command_does_not_write_to_an_old_primary(pair: Pair, tmp_path: Path) -> None:
    with several(1, tmp_path, [pair.url], *QUIET) as (service,):
        put(service, "kept")
        pair.wait_for_standby()
        pair.second.promote()
        pair.first.stop()
        wait_for(lambda: service.client.put("/cluster/new").status_code == 201)
        service.stop()
        pair.second.stop()
        pair.first.start()
        done = create_token(service, "ci")
        assert done.returncode == 1, done.stdout
        assert "Nothing is written" in done.stderr
        pair.first.stop()
        pair.second.start()


def test_a_token_whose_revocation_was_lost_is_good_again_and_that_is_named(
    pair: Pair, tmp_path: Path
) -> None:
    with several(1, tmp_path, [pair.url], *QUIET) as (service,):
        bearer = {"Authorization": f"Bearer {create_token(service, 'ci').stdout.strip()}"}
        url = f"{service.url}/api/v0/clusters"
        assert httpx.get(url, headers=bearer).status_code == 200
        with pair.standby_misses():
            assert service.client.delete("/token/ci").status_code in (200, 204)
            assert httpx.get(url, headers=bearer).status_code in (401, 403)
        pair.fail_over()
        wait_for(lambda: service.client.put("/cluster/after").status_code == 201)
        assert httpx.get(url, headers=bearer).status_code == 200
        assert lost(service) == {("token.revoked", "token/ci")}
