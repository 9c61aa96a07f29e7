"""Large fleets at a glance: clusters by status, and every host as a cell in few bytes."""

import re
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.web.console import fleet
from tests.web.console.browser import Browser, browsing
from tests.web.console.seats import launched, seat
from tests.web.console.test_live import Frames
from tests.web.service import WebService, serving
from web.console.fleet import maps
from web.console.fleet.maps import CELLS_MAX, DIGITS, MAP_FROM, encoded
from web.console.operations import operations

PAGE_BYTES_MAX = 300_000
HOSTS = 250


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """A service with more hosts than are seen in a list."""
    assert HOSTS > MAP_FROM
    with serving(Path(tmp_path_factory.mktemp("large"))) as service:
        fleet.seed(service, HOSTS)
        yield service


@pytest.fixture
def admin(large: WebService) -> Iterator[Browser]:
    """An administrator's browser there."""
    with browsing(large) as browser:
        yield browser


def decoded(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The cells of a map, as the script reads them."""
    addresses, before = [], ""
    for each in told["addresses"].split(",") if told["addresses"] else []:
        before = before[: int(each[0], 36)] + each[1:]
        addresses.append(before)
    states = [told["states"][DIGITS.index(digit)] for digit in told["cells"]]
    return list(zip(addresses, states, strict=True))


def test_a_map_of_all_that_may_be_on_it_is_small_and_says_all() -> None:
    cells = [(fleet.address(n), ("active", "failed")[n % 9 == 0]) for n in range(CELLS_MAX)]
    cells[7] = ("a" * 200, "new")
    cells[8] = ("a" * 200 + "b", "new")
    told = encoded(cells)
    assert decoded(told) == cells
    assert len(told["addresses"]) + len(told["cells"]) < PAGE_BYTES_MAX
    assert decoded(encoded([])) == []


@pytest.mark.parametrize("query", ["", "?status=failed", "?cluster=db&label=role%3Dback", "?q=no"])
def test_the_map_has_the_hosts_that_the_list_has(
    admin: Browser, large: WebService, query: str
) -> None:
    with large.client() as api:
        wanted = {(h["address"], h["status"]) for h in api.get(f"/fleet/hosts{query}").json()}
        more = api.get(f"/fleet/hosts{query}{'&' if query else '?'}limit=1000").json()
    wanted |= {(h["address"], h["status"]) for h in more}
    assert set(decoded(admin.client.get(f"/map/hosts{query}").json())) == wanted


def test_the_list_of_many_hosts_has_the_map_and_its_counts(
    admin: Browser, large: WebService
) -> None:
    page = admin.see("/hosts?status=&cluster=")
    assert [of["data-source"] for _, of in page.tags if "data-source" in of] == ["/map/hosts"]
    assert "active 223" in page.text
    assert not [of for _, of in admin.see("/hosts?status=failed").tags if "data-source" in of]
    moment = large.events[-1].recorded_at
    (source,) = [
        of["data-source"] for _, of in admin.see(f"/hosts?at={moment}").tags if "data-source" in of
    ]
    assert len(decoded(admin.client.get(source).json())) == HOSTS


def test_now_has_clusters_by_status_and_says_what_the_facets_say(
    admin: Browser, large: WebService
) -> None:
    page = admin.see("/")
    with large.client() as api:
        for name in fleet.CLUSTERS:
            found = api.get(f"/fleet/facets?cluster={name}").json()
            counts = found["status"]
            assert f"{name} {found['total']} {counts['failed']} {counts['active']}" in page.text
    assert "/hosts?cluster=web&status=failed" in page.links
    moment = large.events[len(large.events) - 1].recorded_at
    assert f"/hosts?cluster=web&status=failed&at={moment.replace(':', '%3A')}" in (
        admin.see(f"/?at={moment}").links
    )


def test_the_map_of_an_operation_has_its_hosts_in_order_of_turn(
    admin: Browser, large: WebService
) -> None:
    name = fleet.upgrade(large, "cache", done=5, broken=2)
    with large.client() as api:
        hosts = api.get(f"/operation/{name}").json()["hosts"]
    wanted = [(h["address"], h["outcome"]) for h in hosts if h["outcome"] != "skipped"]
    found = decoded(admin.client.get(f"/map/operation/{name}").json())
    assert found == wanted
    assert [state for _, state in found].count("done") == 5
    assert admin.client.get("/map/hosts?status=odd").status_code == 400


def test_a_cell_is_read_by_the_keys_and_by_the_pointer_and_leads_to_its_host(
    large: WebService,
) -> None:
    with launched() as browser:
        sat = seat(browser, large)
        page = sat.page
        page.goto(f"{large.url}/hosts")
        canvas = page.locator(".map canvas")
        canvas.focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "End", "Home"):
            canvas.press(key)
        page.wait_for_selector(".map output:has-text('10.0.0.')")
        first = page.inner_text(".map output")
        canvas.press("ArrowRight")
        assert page.inner_text(".map output") != first
        canvas.hover(position={"x": 2, "y": 2})
        assert page.inner_text(".map output") == first
        canvas.press("Enter")
        page.wait_for_url("**/host/**")
        address, _, state = first.partition(": ")
        assert page.inner_text("h1").startswith(address)
        assert state in page.inner_text("h1")
        assert sat.complaints == []
        page.context.close()


def test_a_map_is_made_once_for_all_who_look_and_not_on_the_event_loop(
    admin: Browser, large: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def noted(cells: Sequence[tuple[str, str]]) -> dict[str, Any]:
        threads.append(threading.current_thread().name)
        return encoded(cells)

    monkeypatch.setattr(maps, "encoded", noted)
    name = fleet.upgrade(large, "web", done=1, broken=0)
    for path in ("/map/hosts?cluster=web", f"/map/operation/{name}"):
        for _ in range(10):
            assert admin.client.get(path).json()["states"]
    assert {each.rpartition("_")[0] for each in threads} == {"reads"}
    assert len(threads) < 20  # a commit between, of whatever, makes it anew


def test_the_counts_beside_a_live_map_change_with_it(
    admin: Browser, large: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CELLS_MAX", 5)
    name = fleet.upgrade(large, "db", done=1, broken=0)
    for path, state, change in (
        ("/live/hosts", "failed", partial(large.fail, fleet.address(2), "x")),
        (f"/live/operation/{name}", "done", partial(fleet.turn, large, name)),
    ):
        with admin.client.stream("GET", path) as answer:
            frames = Frames(answer)
            shown = frames.until("view", f"{state} <b>")
            before = re.search(f'id="map-counts" hx-swap-oob="true".*{state} <b>(\\d+)', shown)
            assert before
            change()
            frames.until("view", f"{state} <b>{int(before[1]) + 1}</b>")
    large.settle(fleet.address(2))
