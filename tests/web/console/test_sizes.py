"""Pages of the largest fleet that maps are for: none is more than a phone should have to load."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.web.console import fleet
from tests.web.console.browser import Browser, browsing
from tests.web.service import WebService, serving
from web.console.fleet.maps import CELLS_MAX

PAGE_BYTES_MAX = 300_000


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """A service with as many hosts as a map may have."""
    with serving(Path(tmp_path_factory.mktemp("huge"))) as service:
        fleet.seed(service, CELLS_MAX, together=400)
        yield service


@pytest.fixture
def admin(huge: WebService) -> Iterator[Browser]:
    """An administrator's browser there."""
    with browsing(huge) as browser:
        yield browser


def test_no_answer_of_a_fleet_of_20_000_is_over_300_kb(admin: Browser, huge: WebService) -> None:
    name = fleet.upgrade(huge, "web", done=200, broken=20)
    host, part = fleet.address(9), f"/operation/{name}/hosts/{fleet.address(1)}"
    with huge.client() as api:
        (begun,) = api.get(f"/events?subject=operation/{name}&limit=1").json()
    first, last = (quote(huge.events[number].recorded_at) for number in (0, -1))
    asked = ("/", "/hosts", "/hosts?status=failed", "/map/hosts", f"/host/{host}", "/clusters",
             "/cluster/web", "/operations", f"/operation/{name}", f"/map/operation/{name}",
             "/operations/new?cluster=web", f"{part}/output", f"{part}/evidence.json", "/history",
             f"/history/{huge.events[-1].position}", f"/history/{begun['id']}",
             "/users", "/tokens", "/me", "/about",
             f"/?at={first}", f"/diff?at={first}&to={last}")  # fmt: skip
    for path in asked:
        answer = admin.client.get(path)
        assert answer.status_code == 200, path
        assert len(answer.content) < PAGE_BYTES_MAX, path
    assert "It is cut here" in admin.see(f"/history/{begun['id']}").text
    form = admin.see("/operations/new?cluster=web").fields("/operations/plan")
    planned = admin.post("/operations/plan", form | {"kind": "restart", "cluster": "db"})
    assert planned.status_code == 200, planned.text
    assert len(planned.content) < PAGE_BYTES_MAX
