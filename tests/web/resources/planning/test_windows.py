"""`/windows` and `/window/{name}`."""

from typing import Any

import httpx
import pytest

from domain.log.recorder import now
from tests.web.service import WebService

NIGHTS: dict[str, Any] = {
    "zone": "Europe/Berlin",
    "starts": "0 22 * * 1-5",
    "duration_s": 21600,
    "except": ["2026-12-24"],
}
ALWAYS: dict[str, Any] = {"zone": "UTC", "starts": "0 0 * * *", "duration_s": 86400}
NEVER = ALWAYS | {"starts": "0 0 1 1 *", "duration_s": 60, "except": ["2030-01-01"]}
KEYS = ["name", "zone", "starts", "duration_s", "except", "open", "until", "next"]


def test_put_answers_the_record_and_get_and_the_list_answer_the_same(api: httpx.Client) -> None:
    put = api.put("/window/nights", json=NIGHTS)
    assert put.status_code == 201
    assert list(put.json()) == KEYS
    assert put.json() | NIGHTS | {"name": "nights"} == put.json()
    assert api.get("/window/nights/").json().keys() == put.json().keys()
    assert api.put("/window/always", json=ALWAYS).json()["except"] == []
    listed = api.get("/windows").json()
    assert [(one["name"], one["starts"]) for one in listed] == [
        ("always", "0 0 * * *"),
        ("nights", "0 22 * * 1-5"),
    ]


def test_it_says_whether_it_is_open_until_when_and_when_it_opens_next(api: httpx.Client) -> None:
    before = now()
    always = api.put("/window/always", json=ALWAYS).json()
    assert always["open"]
    assert always["until"] > before
    closed = api.put("/window/rare", json=NEVER | {"starts": "0 0 29 2 *"}).json()
    assert (closed["open"], closed["until"]) == (False, None)
    assert closed["next"][5:] == "02-29T00:00:00.000000"


def test_the_same_again_is_no_event_and_another_is_a_change(
    service: WebService, api: httpx.Client
) -> None:
    api.put("/window/nights", json=NIGHTS)
    api.put("/window/nights", json=NIGHTS | {"starts": "0  22 * * 1-5"})
    assert service.topics() == ["window.defined"]
    changed = api.put("/window/nights", json=NIGHTS | {"duration_s": 3600})
    assert (changed.status_code, changed.json()["duration_s"]) == (201, 3600)
    assert api.get("/window/nights").json()["duration_s"] == 3600
    assert service.topics() == ["window.defined"] * 2


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"zone": "Europe/Nowhere"}, "zone"),
        ({"zone": None}, "zone"),
        ({"starts": "every night"}, "starts"),
        ({"starts": "0 0 30 2 *"}, "starts"),
        ({"duration_s": 0}, "duration_s"),
        ({"duration_s": "6h"}, "duration_s"),
        ({"except": ["Christmas"]}, "except"),
        ({"except": "2026-12-24"}, "except"),
        ({"excepts": []}, "excepts"),
        ({"except_dates": []}, "except_dates"),
    ],
)
def test_what_is_wrong_is_400_by_its_key_and_changes_nothing(
    api: httpx.Client, wrong: dict[str, Any], key: str
) -> None:
    api.put("/window/nights", json=NIGHTS)
    answer = api.put("/window/nights", json=NIGHTS | wrong)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["key"] == key
    assert api.get("/window/nights").json()["duration_s"] == NIGHTS["duration_s"]


def test_what_is_missing_is_told_and_so_is_a_misspelt_key(api: httpx.Client) -> None:
    answer = api.put("/window/nights", json={"zone": "UTC"})
    assert [fault["key"] for fault in answer.json()["errors"]] == ["starts", "duration_s"]
    misspelt = api.put("/window/nights", json=NIGHTS | {"exept": []}).json()
    assert "did you mean except?" in misspelt["detail"]
    assert api.get("/windows").json() == []


def test_a_window_is_removed_and_may_come_back(service: WebService, api: httpx.Client) -> None:
    api.put("/window/nights", json=NIGHTS)
    removed = api.delete("/window/nights")
    assert (removed.status_code, removed.json()) == (200, [])
    for verb in ("GET", "DELETE"):
        assert api.request(verb, "/window/nights").status_code == 404
    assert api.put("/window/nights", json=ALWAYS).status_code == 201
    assert service.topics() == ["window.defined", "window.removed", "window.defined"]


def test_a_client_that_has_it_is_told_so_until_it_opens_or_is_changed(api: httpx.Client) -> None:
    api.put("/window/always", json=NEVER)
    first = api.get("/window/always")
    tagged = {"If-None-Match": first.headers["ETag"]}
    assert api.get("/window/always", headers=tagged).status_code == 304
    api.put("/window/always", json=ALWAYS)
    assert api.get("/window/always", headers=tagged).status_code == 200


def test_the_past_is_told_as_it_was_defined_and_open_then(api: httpx.Client) -> None:
    beginning = now()
    api.put("/window/nights", json=ALWAYS)
    defined = now()
    api.put("/window/nights", json=NEVER)
    changed = now()
    api.delete("/window/nights")
    for at, is_open in ((defined, True), (changed, False)):
        was = api.get("/window/nights", params={"at": at}).json()
        assert was["open"] is is_open
        assert was["starts"] == (ALWAYS if is_open else NEVER)["starts"]
        assert api.get("/windows", params={"at": at}).json() == [was]
    for at in (beginning, now()):
        assert api.get("/window/nights", params={"at": at}).status_code == 404
        assert api.get("/windows", params={"at": at}).json() == []
    assert api.get("/windows", params={"at": "9999-01-01"}).status_code == 400
