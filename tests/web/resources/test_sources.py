"""The source of a host over HTTP: which names are taken, and where it is shown."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from domain.aggregates.host_events import FactsSourced
from domain.commands import investigation
from domain.commands.investigation import Subject
from tests.web.service import WebService, serving

HOST = "/host/10.0.0.7"


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[WebService]:
    """The service with two sources in its settings, on each engine in turn."""
    with serving(tmp_path, database_url, sources={"rack", "cmdb"}) as running:
        yield running


def keys(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["key"] for error in answer.json()["errors"]]


def test_a_host_is_registered_with_a_source_that_is_there(api: httpx.Client, key: str) -> None:
    answer = api.put(HOST, json={"ssh_priv_key": key, "source": "rack"})
    assert (answer.status_code, answer.json()["source"]) == (201, "rack")
    again = api.put(HOST, json={"ssh_priv_key": key, "source": "rack"})
    unsaid = api.put(HOST, json={"ssh_priv_key": key})
    assert again.json() == unsaid.json() == answer.json()
    assert (again.status_code, unsaid.status_code) == (201, 201)


@pytest.mark.parametrize("source", ["nowhere", "Rack", "rack ", "../rack", "x" * 5000])
def test_an_unknown_source_is_400_and_the_key_is_named(
    api: httpx.Client, service: WebService, key: str, source: str
) -> None:
    answer = api.put(HOST, json={"ssh_priv_key": key, "source": source})
    assert (answer.status_code, keys(answer)) == (400, ["source"])
    assert len(answer.content) < 1000
    assert service.topics() == []


def test_a_repeat_with_another_source_is_409_and_the_key_is_named(
    api: httpx.Client, key: str
) -> None:
    assert api.put(HOST, json={"ssh_priv_key": key, "source": "rack"}).status_code == 201
    answer = api.put(HOST, json={"ssh_priv_key": key, "source": "cmdb"})
    assert (answer.status_code, keys(answer)) == (409, ["source"])
    assert api.put(HOST, json={"ssh_priv_key": key, "source": ""}).status_code == 201
    unknown = api.put(HOST, json={"ssh_priv_key": key, "source": "nowhere"})
    assert (unknown.status_code, keys(unknown)) == (400, ["source"])
    assert api.get(HOST).json()["source"] == "rack"


def test_a_host_shows_its_source_and_the_list_does_not(api: httpx.Client, key: str) -> None:
    api.put(HOST, json={"ssh_priv_key": key, "source": "rack"})
    record = api.get(HOST).json()
    assert list(record)[-1] == "source"
    assert api.get("/hosts").json() == [{k: v for k, v in record.items() if k != "source"}]


def test_facts_of_a_source_are_in_the_record_and_give_it_another_etag(
    api: httpx.Client, service: WebService, key: str
) -> None:
    api.put(HOST, json={"ssh_priv_key": key, "source": "rack"})
    before = api.get(HOST)
    said = FactsSourced("rack", os="rhel", space=7)
    service.perform(
        lambda unit: investigation.supply_facts(
            unit, Subject("10.0.0.7", unit.host("10.0.0.7").incarnation), said
        )
    )
    after = api.get(HOST, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json() == before.json() | {"os": "rhel", "space": 7}
    assert list(after.json()) == list(before.json())
    assert api.get("/hosts").json()[0]["os"] == "rhel"


def test_a_source_that_is_stale_needs_a_person_until_it_is_back(
    service: WebService, api: httpx.Client
) -> None:
    since = "2026-01-02T03:04:05.000006"
    service.perform(lambda unit: unit.source("rack").become_stale(since, "It answers 503."))
    service.perform(lambda unit: unit.source("cmdb").become_stale(since, "It is away."))
    service.perform(lambda unit: unit.source("cmdb").come_back())
    (need,) = api.get("/fleet").json()["needs_a_person"]
    told = [need[key] for key in ("what", "source", "since", "reason", "count", "hosts")]
    assert told == ["stale_source", "rack", since, "It answers 503.", 1, []]
    service.perform(lambda unit: unit.source("rack").come_back())
    assert api.get("/fleet").json()["needs_a_person"] == []


def test_a_source_that_was_taken_out_of_the_settings_while_stale_needs_nobody(
    service: WebService, api: httpx.Client
) -> None:
    since = "2026-01-02T03:04:05.000006"
    service.perform(lambda unit: unit.source("attic").become_stale(since, "It is away."))
    assert api.get("/fleet").json()["needs_a_person"] == []
