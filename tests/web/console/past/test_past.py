"""Pages of the past: steps over the log, ways to a time, and what differs between two."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.web.console import fleet
from tests.web.console.browser import Browser, Page
from tests.web.service import WebService

STEPS_TRIED = 25


def step(page: Page, key: str) -> str:
    """Where a step of the slider leads; "" where there is none."""
    return next((of["href"] for _, of in page.tags if of.get("data-key") == key), "")


def position(page: Page) -> int:
    """The position that the banner says."""
    found = re.search(r", position (\d+)\.", page.text)
    assert found is not None
    return int(found[1])


def test_a_step_is_one_event_and_says_what_the_api_says_of_that_time(
    admin: Browser, seeded: WebService
) -> None:
    path = admin.client.get("/past?page=/&back=0").headers["location"]
    positions = []
    for _ in range(STEPS_TRIED):
        page = admin.see(path)
        positions.append(position(page))
        at = parse_qs(urlsplit(path).query)["at"][0]
        with seeded.client() as api:
            then = api.get("/fleet", params={"at": at}).json()
        assert f"{then['hosts']['total']} hosts" in page.text
        assert then["position"] == positions[-1]
        back = step(page, "ArrowLeft")
        assert step(admin.see(back), "ArrowRight") == path
        path = back
    assert positions == sorted(set(positions), reverse=True)
    with seeded.engine.snapshot() as tx:
        times = tx.execute(
            "SELECT count(DISTINCT recorded_at) FROM stored_events WHERE position > ?",
            (positions[-1],),
        ).fetchone()[0]
    assert len(positions) - 1 == times  # none was passed over


def test_steps_end_where_the_log_does(admin: Browser) -> None:
    first = admin.see(admin.client.get("/past?page=/hosts&position=1").headers["location"])
    assert step(first, "ArrowLeft") == step(first, "Home") == step(first, "PageUp") == ""
    last = admin.see(step(first, "End"))
    assert step(last, "ArrowRight") == step(last, "PageDown") == ""
    assert step(last, "PageUp")


def test_a_position_or_a_time_may_be_asked_for(admin: Browser, seeded: WebService) -> None:
    asked = "/past?page=/hosts%3Fstatus%3Dfailed%26at%3D2020-01-01&position=40"
    path = admin.client.get(asked).headers["location"]
    assert path.startswith("/hosts?status=failed&at=")
    assert path.count("at=2") == 1
    assert position(admin.see(path)) >= 40
    early = admin.client.get("/past?page=/&at=2001-01-01").headers["location"]
    with seeded.engine.snapshot() as tx:
        first = tx.execute("SELECT min(recorded_at) FROM stored_events").fetchone()[0]
    assert parse_qs(urlsplit(early).query)["at"] == [first]
    for wrong in ("position=x", "at=soon", "back=-1"):
        assert admin.client.get(f"/past?page=/&{wrong}").status_code == 400


@pytest.mark.parametrize("page", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_the_way_to_a_time_leads_to_no_other_service(admin: Browser, page: str) -> None:
    target = admin.client.get("/past", params={"page": page, "position": "40"})
    assert target.headers["location"].startswith("/?at=")


def test_a_host_of_the_past_has_the_history_up_to_then(admin: Browser, seeded: WebService) -> None:
    host = fleet.address(11)
    with seeded.engine.snapshot() as tx:
        moment = tx.execute(
            "SELECT recorded_at FROM stored_events WHERE originator_id = ? AND topic = ?",
            (f"host/{host}", "host.facts_gathered"),
        ).fetchone()[0]
    page = admin.see(f"/host/{host}?at={moment}")
    assert "said what it is" in page.text
    assert "labelled" not in page.text.partition("History ")[2]
    assert "labelled" in admin.see(f"/host/{host}").text


def test_what_differs_between_two_times_is_told(admin: Browser, seeded: WebService) -> None:
    host = fleet.address(20)
    with seeded.client() as api:
        before = seeded.events[-1].recorded_at
        api.put("/cluster/brief").raise_for_status()
        seeded.fail(host, "<i>It is off.</i>")
        after = seeded.events[-1].recorded_at
        api.delete("/cluster/brief").raise_for_status()
    page = admin.see(f"/diff?at={before}&to={after}")
    assert "Appeared 1 cluster/brief Gone 0" in page.text
    assert f"host/{host}" in page.text
    assert "status active failed" in page.text
    assert "reason – <i>It is off.</i>" in page.text
    assert f"commctl diff {before} {after}" in page.text
    turned = admin.see(f"/diff?at={after}&to={before}")
    assert "Appeared 1 cluster/brief" in turned.text  # whichever is the earlier
    assert "Gone 1 cluster/brief" in admin.see(f"/diff?at={after}").text
    assert "Changed 0 Nothing." in admin.see(f"/diff?at={after}&to={after}").text
    seeded.settle(host)


def test_a_time_that_is_none_has_no_difference(admin: Browser) -> None:
    for query in ("at=x", "at=2026-01-01&to=2999-01-01"):
        assert admin.client.get(f"/diff?{query}").status_code == 400


PAGES = ("/", "/hosts", f"/host/{fleet.address(3)}", "/clusters", "/cluster/web", "/history")


@pytest.mark.parametrize("at", ["0001-01-01", "0001-01-01T00:30", "0999-12-31T23:30"])
def test_a_time_at_the_edge_of_the_calendar_is_a_time(admin: Browser, at: str) -> None:
    for page in ("/", "/hosts", "/clusters", "/history", "/diff"):
        assert "As of" in (text := admin.see(f"{page}?at={at}").text) or page == "/diff", text
    for page in (f"/host/{fleet.address(3)}", "/cluster/web"):  # neither was there
        assert admin.client.get(f"{page}?at={at}").status_code == 404


@pytest.mark.parametrize("at", ["9999-12-31T23:30", "9999-12-31T23:59:59", "2999-01-01"])
def test_a_time_to_come_is_refused_on_every_page(admin: Browser, at: str) -> None:
    for page in (*PAGES, "/diff", "/map/hosts"):
        assert admin.client.get(f"{page}?at={at}").status_code == 400, page
    assert admin.client.get("/past?page=/&back=3153600000").status_code == 303
