"""Operations and their hosts in pages."""

import re

import httpx
import pytest

from domain.commands import operation_commands
from tests.web.resources.operations.test_operations import (
    ADDRESSES,
    advance,
    begun,
    cluster_of,
    failed,
)
from tests.web.service import WebService


def following(api: httpx.Client, path: str) -> list[list[str]]:
    """The ids or addresses of all pages, by their links."""
    pages = []
    while path:
        answer = api.get(path.removeprefix("/api/v0"))
        assert answer.status_code == 200, answer.text
        pages.append([one.get("id") or one["address"] for one in answer.json()])
        found = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        path = found[1] if found else ""
    return pages


def test_operations_come_in_pages_newest_first(
    service: WebService, api: httpx.Client, key: str
) -> None:
    cluster_of(service, api, key, *ADDRESSES)
    names: list[str] = []
    for number in range(5):
        with service.client("operator" if number % 2 else "admin") as client:
            names.insert(0, begun(client, "restart" if number == 4 else "upgrade"))
            client.put(f"/operation/{names[0]}/state", json={"state": "cancelled"})
    assert following(api, "/operations") == [names]
    assert following(api, "/operations?limit=2") == [names[:2], names[2:4], names[4:]]
    assert following(api, "/operations?limit=5") == [names]
    by_operator = [names[1], names[3]]
    assert following(api, "/operations?actor=operator") == [by_operator]
    assert following(api, "/operations?actor=operator&limit=1&kind=upgrade&cluster=web") == [
        [name] for name in by_operator
    ]
    assert following(api, "/operations?status=finished&actor=nobody") == [[]]
    listed = api.get("/operations?limit=1")
    tag = {"if-none-match": listed.headers["etag"]}
    assert api.get("/operations?limit=1", headers=tag).status_code == 304
    for query in ("limit=0", "limit=1001", "after=x", "after=-1", "actor=", "actors=admin"):
        assert api.get(f"/operations?{query}").status_code == 400


def test_hosts_of_an_operation_come_in_pages_by_outcome(
    service: WebService, api: httpx.Client, key: str
) -> None:
    cluster_of(service, api, key, *ADDRESSES)
    service.fail(ADDRESSES[0], "It is off.")
    name = begun(api, max_failures=1)
    advance(service, name)
    path = f"/operation/{name}/hosts"
    in_order = [ADDRESSES[1], ADDRESSES[2], ADDRESSES[0]]
    whole = api.get(f"/operation/{name}").json()
    assert api.get(path).json() == whole["hosts"]
    assert following(api, f"{path}?limit=2") == [in_order[:2], in_order[2:]]
    failed(service, name, ADDRESSES[1], "It broke.")
    assert following(api, f"{path}?outcome=failed&limit=1") == [[ADDRESSES[1]]]
    assert following(api, f"{path}?outcome=skipped") == [[ADDRESSES[0]]]
    assert following(api, f"{path}?outcome=done") == [[]]
    for query in ("outcome=well", "limit=0", "after=x", "status=failed"):
        assert api.get(f"{path}?{query}").status_code == 400
    short = api.get(f"/operation/{name}?hosts=false")
    whole = api.get(f"/operation/{name}?hosts=true").json()
    assert short.json() == {key: value for key, value in whole.items() if key != "hosts"}
    tag = {"if-none-match": short.headers["etag"]}
    assert api.get(f"/operation/{name}?hosts=false", headers=tag).status_code == 304
    service.perform(lambda unit: operation_commands.steer(unit, name, "paused"))
    assert api.get(f"/operation/{name}?hosts=false", headers=tag).status_code == 200
    assert api.get(f"/operation/{name}?hosts=no").status_code == 400


@pytest.mark.parametrize("name", ["00000000-0000-7000-8000-000000000000", "x"])
def test_an_operation_that_is_not_there_has_no_page(client: httpx.Client, name: str) -> None:
    assert client.get(f"/operation/{name}/hosts").status_code == 404
    assert client.get(f"/operation/{name}?hosts=false").status_code == 404
