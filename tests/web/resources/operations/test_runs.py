"""`POST /operations` of a run: administrators, and what a script may be."""

from typing import Any

import httpx
import pytest

from tests.web.resources.operations.test_operation_starts import fleet_api
from tests.web.resources.operations.test_operations import advance
from tests.web.service import WebService

__all__ = ["fleet_api"]

RUN = {"kind": "run", "cluster": "web", "script": "uname -r"}


def test_a_run_takes_an_administrator_also_to_retry_it_and_to_plan_it(
    service: WebService, fleet_api: httpx.Client
) -> None:
    schedule = {"cron": "0 2 * * 0", "zone": "UTC", "operation": RUN}
    with service.client("operator") as operator:
        for body in (RUN, RUN | {"dry_run": True}):
            assert operator.post("/operations", json=body).status_code == 403
        assert operator.put("/schedule/nightly", json=schedule).status_code == 403
        begun = fleet_api.post("/operations", json=RUN)
        assert begun.status_code == 201, begun.text
        record = begun.json()
        assert (record["kind"], record["version"]) == ("run", "")
        assert len(record["script_sha256"]) == 64
        name = record["id"]
        advance(service, name)
        assert operator.put(f"/operation/{name}/retry").status_code == 403
        state = {"state": "paused"}
        assert operator.put(f"/operation/{name}/state", json=state).status_code == 201
    (told,) = fleet_api.get("/events", params={"type": "operation.started"}).json()
    assert told["data"]["script"] == "uname -r"
    assert fleet_api.put("/schedule/nightly", json=schedule).status_code == 201
    plan = fleet_api.post("/operations", json=RUN | {"dry_run": True}).json()["plan"]
    other = RUN | {"script": "uname -a", "dry_run": True}
    assert fleet_api.post("/operations", json=other).json()["plan"] != plan


@pytest.mark.parametrize(
    "body",
    [
        {"script": None},
        {"script": ""},
        {"script": "x" * (64 * 1024 + 1)},
        {"script": "a\0b"},
        {"kind": "upgrade"},
    ],
)
def test_what_is_no_script_is_400(fleet_api: httpx.Client, body: dict[str, Any]) -> None:
    answer = fleet_api.post("/operations", json=RUN | body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["key"] == "script"
