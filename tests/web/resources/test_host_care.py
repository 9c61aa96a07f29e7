"""Labels of hosts, checks on request, and the note that comes with a change."""

import httpx
import pytest

from tests.web.resources.test_hosts import put
from tests.web.service import WebService

HOST = "192.168.9.1"


def test_labels_are_replaced_as_a_whole(api: httpx.Client, key: str) -> None:
    put(api, HOST, key)
    assert api.get(f"/host/{HOST}/labels").json() == {}
    labels = {"role": "db", "example.com/rack": "7", "empty": ""}
    answer = api.put(f"/host/{HOST}/labels", json=labels)
    assert (answer.status_code, answer.json()) == (200, labels)
    assert api.get(f"/host/{HOST}/labels").json() == labels
    assert api.put(f"/host/{HOST}/labels", json={"role": "web"}).json() == {"role": "web"}
    (record,) = api.get("/fleet/hosts").json()
    assert record["labels"] == {"role": "web"}


def test_the_same_labels_are_no_news(api: httpx.Client, key: str) -> None:
    put(api, HOST, key)
    api.put(f"/host/{HOST}/labels", json={"role": "db", "rack": "7"})
    api.put(f"/host/{HOST}/labels", json={"rack": "7", "role": "db"})
    events = api.get("/events?type=host.labels_changed").json()
    assert [event["data"] for event in events] == [{"labels": {"rack": "7", "role": "db"}}]


def test_labels_are_changed_only_in_place_of_those_that_were_read(
    api: httpx.Client, key: str
) -> None:
    put(api, HOST, key)
    tag = api.get(f"/host/{HOST}/labels").headers["etag"]
    path, body = f"/host/{HOST}/labels", {"role": "db"}
    assert api.put(path, json=body, headers={"If-Match": tag}).status_code == 200
    refused = api.put(path, json={"role": "web"}, headers={"If-Match": tag})
    assert (refused.status_code, refused.json()["type"]) == (412, "urn:commissaire:problem:stale")
    assert api.get(path).json() == body
    assert api.put(path, json={}, headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize(
    "labels",
    [
        {"": "x"}, {"-a": "x"}, {"a" * 64: "x"}, {"Example.com/a": "x"}, {"a/b/c": "x"},
        {"a": "-"}, {"a": "x" * 64}, {"a": 1}, {"a": ["b"]}, {"a": "b c"},
        {f"k{number}": "" for number in range(65)}, [],
    ],
)  # fmt: skip
def test_what_is_no_label_is_refused(client: httpx.Client, key: str, labels: object) -> None:
    put(client, HOST, key)
    assert client.put(f"/host/{HOST}/labels", json=labels).status_code == 400
    assert client.get(f"/host/{HOST}/labels").json() == {}


def test_labels_are_not_taken_away_by_an_empty_variable(api: httpx.Client, key: str) -> None:
    put(api, HOST, key)
    path = f"/host/{HOST}/labels"
    api.put(path, json={"role": "db"})
    for sent in (b"", b'{"role": null}', b"null"):
        assert api.put(path, content=sent).status_code == 400
        assert api.get(path).json() == {"role": "db"}
    assert api.put(path, json={}).json() == {}


def test_labels_go_with_the_host(api: httpx.Client, key: str) -> None:
    assert api.get(f"/host/{HOST}/labels").status_code == 404
    assert api.put(f"/host/{HOST}/labels", json={}).status_code == 404
    put(api, HOST, key)
    api.put(f"/host/{HOST}/labels", json={"role": "db"})
    api.delete(f"/host/{HOST}")
    put(api, HOST, key)
    assert api.get(f"/host/{HOST}/labels").json() == {}


def test_a_check_is_an_event_and_not_repeated_at_once(api: httpx.Client, key: str) -> None:
    put(api, HOST, key)
    answers = [api.post(f"/host/{HOST}/check", json={}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert answers[0].json()["hosts"] == [HOST]
    position = answers[0].json()["position"]
    events = api.get(f"/events?type=host.check_requested&after={position}").json()
    assert [event["subject"] for event in events] == [f"host/{HOST}"]
    assert api.post("/host/192.168.9.2/check", json={}).status_code == 404
    assert api.post(f"/host/{HOST}/check", json={"update": True}).status_code == 400


def test_those_that_the_filters_let_through_are_checked(
    service: WebService, api: httpx.Client, key: str
) -> None:
    for number in (1, 2, 3):
        put(api, f"192.168.9.{number}", key)
    api.put("/host/192.168.9.2/labels", json={"role": "db"})
    answer = api.post("/fleet/check", json={"label": ["role=db"]})
    assert (answer.status_code, answer.json()["hosts"]) == (202, ["192.168.9.2"])
    assert len(api.post("/fleet/check", json={}).json()["hosts"]) == 3
    assert len(api.get("/events?type=host.check_requested").json()) == 3
    refused = api.post("/fleet/check", json={"lable": ["role=db"]})
    assert (refused.status_code, "label" in refused.json()["detail"]) == (400, True)


def test_a_note_is_kept_with_the_event_and_shown_in_the_history(
    api: httpx.Client, key: str
) -> None:
    put(api, HOST, key)
    note = "rack 7 moves: ticket 4711, für Bob"
    headers = {"Commissaire-Note": note.encode()}
    api.put(f"/host/{HOST}/labels", json={"rack": "8"}, headers=headers)  # type: ignore[arg-type] # bytes are taken
    (event,) = api.get("/events?type=host.labels_changed").json()
    assert (event["note"], event["data"]) == (note, {"labels": {"rack": "8"}})
    history = api.get(f"/host/{HOST}/history").json()
    assert [entry.get("note") for entry in history] == [None, note]


@pytest.mark.parametrize("note", [b"x" * 201, b"a\tb", b"\xff"])
def test_a_note_that_is_no_short_line_is_refused(client: httpx.Client, note: bytes) -> None:
    headers = {"Commissaire-Note": note}
    answer = client.put("/cluster/noted", headers=headers)  # type: ignore[arg-type] # bytes are taken
    assert answer.status_code == 400
    assert client.get("/cluster/noted").status_code == 404


def test_every_get_says_of_which_position_it_is(api: httpx.Client, key: str) -> None:
    put(api, HOST, key)
    paths = ("/hosts", f"/host/{HOST}", "/clusters", "/fleet", "/fleet/facets", "/events")
    for path in (*paths, "/host/192.168.9.9", "/cluster/none", "/operation/none"):
        position = int(api.get(path).headers["commissaire-position"])
        assert 0 <= position <= 1
    assert "commissaire-position" not in api.get("/hosts?status=none").headers
    assert "commissaire-position" not in api.delete("/host/192.168.9.9").headers


def test_what_was_not_there_says_of_which_position_of_that_time_it_is(
    api: httpx.Client, key: str
) -> None:
    put(api, HOST, key)
    answer = api.get(f"/host/{HOST}?at=2015-12-17T15:48:18")
    assert (answer.status_code, answer.headers["commissaire-position"]) == (404, "0")
