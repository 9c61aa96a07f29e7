"""`POST /operations` with waves and a time: records tell waits and approvals."""

from typing import Any

import httpx
import pytest

from tests.web.resources.operations.test_operation_starts import fleet_api, post
from tests.web.resources.operations.test_operations import ADDRESSES, advance, done
from tests.web.service import WebService

__all__ = ["fleet_api"]


def approve(api: httpx.Client, name: str, **body: Any) -> httpx.Response:
    """Ask for it."""
    return api.put(f"/operation/{name}/approval", json=body)


def test_a_rollout_tells_its_waves_what_it_waits_for_and_who_approved(
    service: WebService, fleet_api: httpx.Client
) -> None:
    waves = [{"hosts": 1, "approval": True}]
    planned = post(fleet_api, waves=waves, dry_run=True).json()
    assert planned["waves"] == [1]
    record = post(fleet_api, waves=waves, plan=planned["plan"]).json()
    name = record["id"]
    asked = [{"hosts": 1, "soak_s": 0.0, "approval": True}]
    assert record["options"]["waves"] == asked
    assert (record["wave"], record["waits_for"]) == (1, None)
    assert [wave["hosts"] for wave in record["waves"]] == [1, 3]
    advance(service, name)
    early = approve(fleet_api, name, wave=2)
    assert (early.status_code, early.json()["errors"][0]["key"]) == (409, "wave")
    done(service, name, ADDRESSES[0], "upgrade", {})
    waits = {
        "what": "approval",
        "until": None,
        "reason": "Wave 1 is over: somebody must approve wave 2.",
    }
    for path in (f"/operation/{name}", f"/operation/{name}?hosts=false"):
        assert fleet_api.get(path).json()["waits_for"] == waits
    assert fleet_api.get("/fleet").json()["operations"][0]["waits_for"] == waits
    assert fleet_api.get("/operations").json()[0]["waits_for"] == waits
    assert fleet_api.get("/cluster/web/upgrade").json()["status"] == "in_process", "as v0 has it"
    approved = approve(fleet_api, name, wave=2)
    assert approved.status_code == 201
    record = approved.json()
    assert (record["wave"], record["waits_for"]) == (2, None)
    assert record["waves"][0]["approved_by"] == "admin"
    assert record["waves"][1]["began_at"]
    assert approve(fleet_api, name, wave=2).json() == record, "the same again answers the same"


def test_who_began_it_is_refused_and_a_second_person_is_not(
    service: WebService, fleet_api: httpx.Client
) -> None:
    name = post(fleet_api, waves=[{"hosts": 1, "approval": "second"}]).json()["id"]
    advance(service, name)
    done(service, name, ADDRESSES[0], "upgrade", {})
    token = fleet_api.put("/token/mine", json={"role": "admin", "expires": "1h"}).json()["token"]
    with httpx.Client(
        base_url=fleet_api.base_url, headers={"authorization": f"Bearer {token}"}
    ) as own_token:
        for mine in (fleet_api, own_token):
            assert approve(mine, name, wave=2).status_code == 409
    bob = {"role": "operator", "password": "made up"}
    assert fleet_api.put("/user/bob", json=bob).status_code == 201
    with httpx.Client(base_url=fleet_api.base_url, auth=("bob", "made up")) as second:
        answer = approve(second, name, wave=2)
    assert answer.status_code == 201, answer.text
    assert answer.json()["waves"][0]["approved_by"] == "bob"


def test_a_time_to_begin_is_told_in_utc(service: WebService, fleet_api: httpx.Client) -> None:
    record = post(fleet_api, starts_at="2999-12-18T03:00:00+01:00").json()
    assert record["options"]["starts_at"] == "2999-12-18T02:00:00.000000"
    advance(service, record["id"])
    record = fleet_api.get(f"/operation/{record['id']}").json()
    assert record["waits_for"]["what"] == "start"
    assert record["waits_for"]["until"] == "2999-12-18T02:00:00.000000"
    assert record["counts"]["waiting"] == 3


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"waves": [{"hosts": 1, "soaks": 5}]}, "waves"),
        ({"waves": [{"soak_s": 5}]}, "waves"),
        ({"waves": [{"hosts": True}]}, "waves"),
        ({"waves": [{"hosts": {"label": "role=db", "q": "x"}}]}, "waves"),
        ({"waves": [{"hosts": "0%"}]}, "waves"),
        ({"waves": [{"hosts": 1}] * 21}, "waves"),
        ({"waves": None, "wave": []}, "wave"),
        ({"starts_at": "tomorrow"}, "starts_at"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(
    fleet_api: httpx.Client, body: dict[str, Any], told: str
) -> None:
    answer = post(fleet_api, **body)
    assert answer.status_code == 400, answer.text
    assert told in [fault["key"] for fault in answer.json()["errors"]]


def test_a_misspelt_key_of_a_wave_is_told_with_the_nearest(fleet_api: httpx.Client) -> None:
    answer = post(fleet_api, waves=[{"hosts": 1}, {"hosts": 2, "soak": 600}])
    assert "wave 2: soak is not known: did you mean soak_s?" in answer.text


def test_v0_requests_take_no_waves(fleet_api: httpx.Client) -> None:
    assert fleet_api.put("/cluster/web/upgrade", json={"waves": []}).status_code == 400
