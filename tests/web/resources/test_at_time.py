"""`?at=TIME` over HTTP: what was so, when, and what nobody can tell."""

from typing import Any

import httpx
import pytest

from domain.log.recorder import now
from tests.web.service import WebService

A, B = "10.0.0.1", "10.0.0.2"
BEGINNING = "2015-12-17T15:48:18.710454"


def lived(service: WebService, api: httpx.Client, key: str) -> list[tuple[str, dict[str, Any]]]:
    """Moments in the life of a small fleet, and what GET answered at each."""
    moments = []

    def look() -> None:
        moments.append((now(), everything(api)))

    def put(path: str, **body: Any) -> None:
        api.put(path, json=body).raise_for_status()
        look()

    look()
    put("/cluster/web")
    put(f"/host/{A}", ssh_priv_key=key, cluster="web", source=None)
    put(f"/host/{B}", ssh_priv_key=key)
    for address in (A, B):
        service.settle(address)
        look()
    service.fail(A, "It is off.")
    look()
    put("/cluster/web/hosts", old=[A], new=[B])
    service.settle(A)
    look()
    put(f"/cluster/web/hosts/{A}")
    for path in (f"/host/{A}", "/cluster/web", f"/host/{B}"):
        api.delete(path).raise_for_status()
        look()
    put("/cluster/web")
    put(f"/host/{A}", ssh_priv_key=key, cluster="web")
    return moments


PATHS = [
    "/hosts", "/hosts?status=active", "/hosts?cluster=web&limit=1", f"/hosts?after={A}",
    "/clusters", "/cluster", "/cluster/web", "/cluster/web/hosts",
    f"/cluster/web/hosts/{A}", f"/cluster/web/hosts/{B}", f"/host/{A}", f"/host/{B}",
]  # fmt: skip


def everything(api: httpx.Client, at: str = "") -> dict[str, Any]:
    """What is answered to every question: the body, or that there was nothing."""
    found: dict[str, Any] = {}
    for path in PATHS:
        answer = asked(api, path, at) if at else api.get(path)
        assert answer.status_code in (200, 404), answer.text
        found[path] = answer.content if answer.status_code == 200 else None
    return found


def asked(api: httpx.Client, path: str, at: str, **headers: str) -> httpx.Response:
    """GET of how it was."""
    return api.get(f"{path}{'&' if '?' in path else '?'}at={at}", headers=headers)


def test_every_answer_is_as_it_was(service: WebService, api: httpx.Client, key: str) -> None:
    for at, told in lived(service, api, key):
        assert everything(api, at) == told, at


def test_a_validator_never_changes(service: WebService, api: httpx.Client, key: str) -> None:
    at = lived(service, api, key)[6][0]
    before = {path: asked(api, path, at) for path in PATHS}
    service.settle(A)
    api.put("/cluster/db").raise_for_status()
    for path, first in before.items():
        again = asked(api, path, at)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        if first.status_code == 404:
            continue
        assert again.headers["etag"] == first.headers["etag"]
        known = asked(api, path, at, **{"If-None-Match": first.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        assert known.headers["etag"] == first.headers["etag"]


def test_before_the_first_event_there_was_nothing(api: httpx.Client) -> None:
    assert asked(api, "/hosts", BEGINNING).json() == asked(api, "/clusters", BEGINNING).json() == []
    api.put("/cluster/web").raise_for_status()
    assert asked(api, "/hosts", BEGINNING).json() == asked(api, "/cluster", BEGINNING).json() == []
    for path in ("/cluster/web", "/cluster/web/hosts", f"/cluster/web/hosts/{A}", f"/host/{A}"):
        answer = asked(api, path, BEGINNING)
        assert answer.status_code == 404
        assert f"at {BEGINNING}" in answer.json()["detail"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("at=2999-01-01T00:00:00", "in the future"),
        ("at=yesterday", "a time in UTC such as"),
        ("at=", "a time in UTC such as"),
        (f"at={BEGINNING}&at={BEGINNING}", "more than once"),
        ("at=2015-12-17T15:48:18+02:00", "a time in UTC such as"),
    ],
)
def test_what_is_no_time_or_still_to_come_is_refused_by_name(
    client: httpx.Client, path: str, query: str, says: str
) -> None:
    answer = client.get(f"{path}{'&' if '?' in path else '?'}{query}")
    assert answer.status_code == 400
    [fault] = answer.json()["errors"]
    assert fault["key"] == "at"
    assert says in fault["message"]


def test_the_time_of_an_event_is_when_it_is_so(api: httpx.Client) -> None:
    """What `/events` says of a change is what `?at=` takes, to the microsecond."""
    api.put("/cluster/web").raise_for_status()
    [*_, event] = [e for e in api.get("/events").json() if e["type"] == "cluster.created"]
    assert asked(api, "/clusters", event["time"]).json() == ["web"]
    moment = event["time"].removesuffix("Z")
    microsecond = int(moment[-6:])
    if microsecond:
        before = f"{moment[:-6]}{microsecond - 1:06d}"
        assert asked(api, "/clusters", before).json() == []


def test_whoever_may_read_may_read_the_past(service: WebService, api: httpx.Client) -> None:
    api.put("/cluster/web").raise_for_status()
    with service.client("viewer") as viewer:
        assert asked(viewer, "/clusters", now()).json() == ["web"]
    assert httpx.get(f"{service.url}/api/v0/clusters?at={now()}").status_code == 401
