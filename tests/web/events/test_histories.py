"""`/host/{address}/history` and `/cluster/{name}/history`."""

import httpx
import pytest

from tests.web.service import WebService
from web.schemas.event_records import HistoryRecord


@pytest.fixture
def gone(service: WebService, api: httpx.Client, key: str) -> WebService:
    """A host of a cluster; both were removed."""
    api.put("/cluster/web")
    api.put("/host/10.0.0.7", json={"ssh_priv_key": key, "cluster": "web"})
    service.settle("10.0.0.7")
    service.fail("10.0.0.7", "It is off.")
    removal = {"X-Request-ID": "ticket-7"}
    assert api.delete("/host/::ffff:10.0.0.7", headers=removal).status_code == 200
    assert api.delete("/cluster/web").status_code == 200
    return service


def test_a_history_is_told_of_what_is_gone(gone: WebService, api: httpx.Client) -> None:
    told = api.get("/host/::ffff:10.0.0.7/history")
    assert told.status_code == 200
    records = told.json()
    for record in records:
        HistoryRecord.model_validate(record)
    assert records[0]["actor"] == "admin"
    failed = next(record for record in records if record["type"] == "host.failed")
    assert (failed["actor"], failed["why"]) == ("runner:test", "It is off.")
    assert failed["changes"]["status"]["after"] == "failed"
    assert records[-1]["type"] == "host.removed"
    assert records[-1]["request"] == "ticket-7"
    left = [r for r in api.get("/cluster/web/history").json() if r["type"] == "cluster.host_left"]
    assert [(r["why"], r["request"]) for r in left] == [("The host was removed.", "ticket-7")]


def test_it_comes_in_pages_and_has_an_etag(gone: WebService, api: httpx.Client) -> None:
    whole = api.get("/host/10.0.0.7/history").json()
    answer = api.get("/host/10.0.0.7/history?limit=3")
    found = answer.json()
    while "next" in answer.links:
        answer = api.get(answer.links["next"]["url"].removeprefix("/api/v0"))
        found += answer.json()
    assert found == whole
    tag = {"If-None-Match": answer.headers["etag"]}
    assert api.get(str(answer.url), headers=tag).status_code == 304


def test_only_what_was_never_heard_of_is_404(front: WebService, client: httpx.Client) -> None:
    for path in ("/host/10.9.9.9/history", "/cluster/nowhere/history", "/host/0x0a/history"):
        assert client.get(path).status_code == 404
    assert client.get("/host/10.9.9.9/history?after=x").status_code == 400
