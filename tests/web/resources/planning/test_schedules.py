"""`/schedules` and `/schedule/{name}`."""

from typing import Any

import httpx
import pytest

from domain.log.recorder import now
from tests.web.service import TIMEOUT_S, WebService

UPGRADE: dict[str, Any] = {"kind": "upgrade", "cluster": "web", "hosts": {"label": "role=db"}}
SUNDAYS: dict[str, Any] = {"cron": "0 2 * * 0", "zone": "Europe/Berlin", "operation": UPGRADE}
KEYS = ["name", "cron", "zone", "operation", "defined_by", "defined_at", "next", "last"]


@pytest.fixture
def planner(api: httpx.Client) -> httpx.Client:
    """A client of a service that has clusters."""
    for cluster in ("web", "db"):
        assert api.put(f"/cluster/{cluster}").status_code == 201
    return api


def test_put_answers_the_record_with_the_next_firings_and_get_and_the_list_the_same(
    planner: httpx.Client,
) -> None:
    put = planner.put("/schedule/sundays", json=SUNDAYS)
    assert put.status_code == 201
    record = put.json()
    assert list(record) == KEYS
    assert record | SUNDAYS | {"name": "sundays", "defined_by": "admin", "last": None} == record
    assert len(record["next"]) == 5
    assert record["next"] == sorted(record["next"])
    assert record["next"][0] > record["defined_at"]
    assert planner.get("/schedule/sundays/").content == put.content
    assert planner.get("/schedules").json() == [record]


def test_the_same_again_is_no_event_and_another_is_a_change(
    service: WebService, planner: httpx.Client
) -> None:
    first = planner.put("/schedule/sundays", json=SUNDAYS)
    again = planner.put("/schedule/sundays", json=SUNDAYS)
    assert (again.status_code, again.content) == (201, first.content)
    changed = planner.put("/schedule/sundays", json=SUNDAYS | {"zone": "UTC"})
    assert changed.json()["zone"] == "UTC"
    assert service.topics()[2:] == ["schedule.defined"] * 2


@pytest.mark.parametrize(
    ("wrong", "status", "key"),
    [
        ({"cron": "every Sunday"}, 400, "cron"),
        ({"zone": "Europe/Nowhere"}, 400, "zone"),
        ({"operation": None}, 400, "operation"),
        ({"operation": []}, 400, "operation"),
        ({"operations": {}}, 400, "operations"),
        ({"operation": {}}, 400, "operation.kind"),
        ({"operation": UPGRADE | {"kind": "reinstall"}}, 400, "operation.kind"),
        ({"operation": UPGRADE | {"version": "1"}}, 400, "operation.version"),
        ({"operation": UPGRADE | {"max_paralel": 2}}, 400, "operation.max_paralel"),
        ({"operation": UPGRADE | {"max_parallel": "200%"}}, 400, "operation.max_parallel"),
        ({"operation": UPGRADE | {"dry_run": True}}, 400, "operation.dry_run"),
        ({"operation": UPGRADE | {"plan": "0f"}}, 400, "operation.plan"),
        ({"operation": UPGRADE | {"starts_at": "2030-01-01"}}, 400, "operation.starts_at"),
        ({"operation": UPGRADE | {"hosts": {"cluster": "db"}}}, 400, "operation.hosts"),
        ({"operation": UPGRADE | {"gate": "unheard-of"}}, 400, "operation.gate"),
        ({"operation": UPGRADE | {"window": "unheard-of"}}, 409, "operation.window"),
        ({"operation": UPGRADE | {"cluster": "none"}}, 404, None),
        ({"operation": UPGRADE | {"cluster": "db"}}, 409, "operation"),
    ],
)
def test_what_an_operation_would_refuse_is_refused_by_its_key_and_changes_nothing(
    planner: httpx.Client, wrong: dict[str, Any], status: int, key: str | None
) -> None:
    before = planner.put("/schedule/sundays", json=SUNDAYS).content
    answer = planner.put("/schedule/sundays", json=SUNDAYS | wrong)
    assert answer.status_code == status, answer.text
    assert [fault["key"] for fault in answer.json().get("errors", [])][:1] == ([key] if key else [])
    assert planner.get("/schedule/sundays").content == before


def test_a_misspelt_option_is_told_with_the_nearest(planner: httpx.Client) -> None:
    body = SUNDAYS | {"operation": UPGRADE | {"rebot": "always"}}
    detail = planner.put("/schedule/sundays", json=body).json()["detail"]
    assert "did you mean reboot?" in detail


def test_whoever_may_operate_the_cluster_plans_there_and_nowhere_else(
    service: WebService, planner: httpx.Client
) -> None:
    user = {"role": "viewer", "clusters": {"web": "operator"}, "password": "made up"}
    assert planner.put("/user/ada", json=user).status_code == 201
    of_db = SUNDAYS | {"operation": UPGRADE | {"cluster": "db"}}
    assert planner.put("/schedule/db", json=of_db).status_code == 201
    with httpx.Client(
        auth=("ada", "made up"), timeout=TIMEOUT_S, base_url=str(planner.base_url)
    ) as ada:
        assert ada.put("/schedule/sundays", json=SUNDAYS).status_code == 201
        assert ada.put("/schedule/mine", json=of_db).status_code == 403
        assert ada.put("/schedule/db", json=SUNDAYS).status_code == 409
        assert ada.delete("/schedule/db").status_code == 403
        assert ada.get("/schedule/db").status_code == 200
        assert ada.delete("/schedule/sundays").status_code == 200
        assert ada.put("/window/mine", json={}).status_code == 403


def test_a_schedule_is_removed_and_the_past_is_told(planner: httpx.Client) -> None:
    beginning = now()
    planner.put("/schedule/sundays", json=SUNDAYS)
    defined = now()
    assert planner.delete("/schedule/sundays").json() == []
    for verb in ("GET", "DELETE"):
        assert planner.request(verb, "/schedule/sundays").status_code == 404
    was = planner.get("/schedule/sundays", params={"at": defined}).json()
    assert was["next"][0] > defined
    assert planner.get("/schedules", params={"at": defined}).json() == [was]
    for at in (beginning, now()):
        assert planner.get("/schedule/sundays", params={"at": at}).status_code == 404
        assert planner.get("/schedules", params={"at": at}).json() == []
