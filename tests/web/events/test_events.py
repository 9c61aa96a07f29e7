"""`/events`: the log as CloudEvents, page by page."""

import re
from datetime import UTC, datetime

import httpx
import pytest

from tests.web.service import WebService
from web.schemas.event_records import CloudEvent

NEXT = re.compile(r'<(/api/v0/events\?[^>]*)>; rel="next"')


def events(api: httpx.Client, **query: object) -> list[dict[str, object]]:
    """All pages together; each must be what is described."""
    answer = api.get("/events", params={k: str(v) for k, v in query.items()})
    found = []
    while True:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/cloudevents-batch+json"
        found += answer.json()
        following = NEXT.fullmatch(answer.headers.get("link", ""))
        if not following:
            break
        answer = api.get(httpx.URL(str(api.base_url)).join(following[1]))
    for event in found:
        CloudEvent.model_validate(event)
    return found


@pytest.fixture
def written(service: WebService, api: httpx.Client) -> WebService:
    """A log of changes by three users and a runner."""
    for user in ("operator", "admin"):
        with service.client(user) as client:
            for number in range(3):
                assert client.put(f"/cluster/{user}-{number}").status_code == 201
    key = service.parse_key
    service.parse_key = lambda raw: "SHA256:x"
    assert api.put("/host/10.0.0.7", json={"ssh_priv_key": "eA=="}).status_code == 201
    service.parse_key = key
    service.settle("10.0.0.7")
    return service


def test_every_event_is_a_cloud_event_in_log_order(written: WebService, api: httpx.Client) -> None:
    found = events(api)
    assert [e["type"] for e in found] == written.topics()
    assert [int(str(e["id"])) for e in found] == [r.position for r in written.events]
    first = found[0]
    assert first["specversion"] == "1.0"
    assert first["subject"] == "network/default" or str(first["subject"]).startswith("cluster/")
    created = next(e for e in found if e["subject"] == "cluster/operator-1")
    assert (created["actor"], created["datacontenttype"]) == ("operator", "application/json")
    assert created["data"] == {"name": "operator-1", "network": "default", "container_manager": ""}
    assert created["correlationid"] in {line.get("request_id") for line in written.log}
    assert datetime.fromisoformat(str(created["time"])).tzinfo == UTC


def test_pages_follow_each_other_by_position(written: WebService, api: httpx.Client) -> None:
    whole = events(api)
    assert events(api, limit=1) == whole
    assert events(api, limit=2, after=whole[2]["id"]) == whole[3:]
    last = api.get("/events", params={"after": str(whole[-1]["id"])})
    assert last.json() == []
    assert "link" not in last.headers


def test_filters_by_subject_type_actor_and_time(written: WebService, api: httpx.Client) -> None:
    whole = events(api)
    for key, value in (
        ("subject", "host/10.0.0.7"),
        ("type", "cluster.created"),
        ("actor", "operator"),
        ("actor", "runner:test"),
    ):
        wanted = [event for event in whole if event[key] == value]
        assert wanted
        assert events(api, **{key: value}, limit=1) == wanted
    middle = whole[len(whole) // 2]
    since = [event for event in whole if str(event["time"]) >= str(middle["time"])]
    until = [event for event in whole if str(event["time"]) <= str(middle["time"])]
    assert events(api, since=middle["time"]) == since
    assert events(api, until=middle["time"]) == until
    assert events(api, until=str(middle["time"]).removesuffix("Z"), limit=3) == until
    assert events(api, subject="host/10.0.0.9") == []
    assert events(api, actor="nobody") == []


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=9223372036854775808", "after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("type=host.flown", "type"),
        ("type=", "type"),
        ("type=host", "type"),
        ("actor=%00", "actor"),
        ("subject=%00", "subject"),
        ("subject=host/%C3%97", "subject"),
        ("subject=a%0A", "subject"),
        ("actor=", "actor"),
        ("subject=", "subject"),
        ("subject=" + "x" * 301, "subject"),
        ("since=yesterday", "since"),
        ("until=2015-13-01", "until"),
        ("until=", "until"),
        ("actor=a&actor=b", "actor"),
    ],
)
def test_what_is_wrong_with_a_query_is_named(client: httpx.Client, query: str, key: str) -> None:
    answer = client.get(f"/events?{query}")
    assert answer.status_code == 400
    assert [error["key"] for error in answer.json()["errors"]] == [key]


def test_an_offset_whose_plus_came_as_a_space_is_explained(client: httpx.Client) -> None:
    answer = client.get("/events?since=2026-11-26T09:00:00+00:00")
    assert answer.status_code == 400
    assert "%2B" in answer.json()["detail"]
    assert client.get("/events?since=2026-11-26T09:00:00%2B00:00").is_success


def test_a_subject_is_found_however_its_address_is_written(
    service: WebService, api: httpx.Client
) -> None:
    service.parse_key = lambda raw: "SHA256:x"
    assert api.put("/host/fd00::7", json={"ssh_priv_key": "eA=="}).status_code == 201
    found = events(api, subject="host/fd00::7")
    assert found
    assert events(api, subject="host/FD00:0:0::7") == found
    assert events(api, subject="host/no address") == []


def test_a_viewer_may_read_it_and_it_is_answered_304(front: WebService) -> None:
    with front.client("viewer") as viewer:
        answer = viewer.get("/events/")
        again = viewer.get("/events", headers={"If-None-Match": answer.headers["etag"]})
    assert (answer.status_code, again.status_code, again.content) == (200, 304, b"")


def test_what_this_version_cannot_read_is_told_as_it_is_stored(
    service: WebService, api: httpx.Client
) -> None:
    sql = """
        INSERT INTO stored_events (originator_id, originator_version, topic, state, recorded_at)
        VALUES (?, 1, ?, ?, '9999-01-01T00:00:00.000000')
    """
    states = {"x/1": b'{"actor":"ada","at":"9998-01-01T00:00:00.000000","n":7}', "x/2": b"{"}
    with service.engine.append(10) as appending:
        for subject, state in states.items():
            appending.tx.execute(sql, (subject, "x.y", state))
        appending.commit()
    newer, broken = events(api)[-2:]
    assert (newer["type"], newer["actor"], newer["data"]) == ("x.y", "ada", {"n": 7})
    assert broken["data_base64"] == "ew=="
    assert "data" not in broken
    assert [event["subject"] for event in events(api, actor="ada")] == ["x/1"]
