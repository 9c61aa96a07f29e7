"""A real browser that runs no script: every page reads, and every form works; also where there is
nothing yet.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.console import fleet
from tests.web.console.seats import Seat, launched, needs_scripts, seat, violations
from tests.web.service import WebService, serving

HOST = fleet.address(3)
PAGES = ("/", "/hosts", "/clusters", "/operations", "/operations/new", "/history", "/me", "/users",
         "/tokens", "/webhooks", "/planned", "/about")  # fmt: skip
MORE = (f"/host/{HOST}", "/cluster/web", "/history/30", "/past?page=/hosts&position=70",
        "/diff?at=2026-01-01")  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    """A service in which nothing has happened yet."""
    with serving(Path(tmp_path_factory.mktemp("empty"))) as service:
        yield service


@pytest.fixture(scope="module")
def browser(seeded: WebService, empty: WebService) -> Iterator[Any]:
    """Debian's chromium; it goes before the services, which it would keep from stopping."""
    with launched() as started:
        yield started


@pytest.fixture
def plain(browser: Any, seeded: WebService) -> Iterator[Seat]:
    """A window without script."""
    sat = seat(browser, seeded, java_script_enabled=False)
    yield sat
    assert sat.complaints == []
    sat.page.context.close()


def test_every_page_reads(plain: Seat) -> None:
    for path in (*PAGES, *MORE):
        answer = plain.page.goto(plain.url + path)
        assert answer is not None
        assert answer.status == 200, path
        assert plain.page.inner_text("h1")
        assert plain.page.locator("noscript").count() == 0


def test_hosts_are_labelled_checked_and_found(plain: Seat, seeded: WebService) -> None:
    page = plain.page
    page.goto(f"{plain.url}/host/{HOST}")
    page.fill("#label", "role=plain")
    page.click("text=Set the label")
    assert "role=plain" in page.inner_text("main")
    page.click("text=Check now")
    page.goto(f"{plain.url}/hosts")
    page.fill("#q", "role=plain")
    page.click("button:has-text('Find')")
    assert "Hosts 1" in page.inner_text("h1")
    page.check("tbody input[type=checkbox]")
    page.fill("#label", "role=back")
    page.click("text=Set the label")
    assert "No host matches" in page.inner_text("main")
    assert seeded.topics().count("host.check_requested") >= 1


def test_an_operation_is_begun_and_steered(plain: Seat) -> None:
    page = plain.page
    page.goto(f"{plain.url}/operations/new?cluster=web&kind=restart")
    page.click("text=Show the plan")
    page.fill("#note", "TICKET-10")
    page.click("text=Begin this")
    assert "TICKET-10" in page.inner_text("main")
    for button, seen in (("Pause", "paused"), ("Resume", "in process"), ("Cancel", "cancelled")):
        page.click(f"button:has-text('{button}')")
        assert seen in page.inner_text("h1")
    page.goto(f"{page.url}/hosts/{fleet.address(1)}/output")  # of web
    assert "It has said nothing" in page.inner_text("main")
    assert not page.locator("#output-controls").is_visible()  # which nothing would follow


def test_users_and_tokens_are_made_and_unmade(plain: Seat) -> None:
    page = plain.page
    page.goto(f"{plain.url}/tokens")
    page.fill("[name=name]", "plain-one")
    page.click("main form[action='/tokens/make'] button")
    assert "plain-one" in page.inner_text("main")
    page.goto(f"{plain.url}/tokens")
    page.click("tr:has-text('plain-one') button")
    assert page.locator("tr:has-text('plain-one') button").count() == 0


def test_the_past_is_gone_to_by_links_and_by_a_form(plain: Seat) -> None:
    page = plain.page
    page.goto(f"{plain.url}/past?page=/hosts&position=70")
    page.fill("#go-position", "50")
    page.click("text=Go there")
    assert "position 5" in page.inner_text(".banner")
    here = page.inner_text(".banner p")
    page.click("text=One event on")
    assert page.inner_text(".banner p") != here
    page.click("text=What has changed since")
    assert "Appeared" in page.inner_text("main")
    page.click("text=Back to now")
    assert page.url == f"{plain.url}/"


@needs_scripts
def test_where_there_is_nothing_yet_each_page_says_what_comes_next(
    browser: Any, empty: WebService
) -> None:
    sat = seat(browser, empty)
    for path in PAGES:
        sat.page.goto(empty.url + path)
        assert violations(sat.page) == [], path
    for path, told in (
        ("/", "commctl host add"),
        ("/hosts", "commctl host add"),
        ("/clusters", "commctl cluster create"),
        ("/operations", "There was no operation yet"),
        ("/history?type=host.failed", "Nothing matches"),
    ):
        sat.page.goto(empty.url + path)
        assert told in sat.page.inner_text("main"), path
    assert sat.complaints == []
    sat.page.context.close()
