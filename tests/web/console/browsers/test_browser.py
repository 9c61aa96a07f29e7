"""The console in a real browser, with script: it is live, breaks no rule, and is for everybody."""

from collections.abc import Iterator
from typing import Any

import pytest

from runners.http_server.server import Server
from tests.web.console import fleet
from tests.web.console.seats import launched, needs_scripts, seat, violations
from tests.web.service import WebService

PAGES = (
    "/",
    "/hosts",
    f"/host/{fleet.address(9)}",
    "/clusters",
    "/cluster/web",
    "/cluster/cache",
    "/operations",
    "/operations/new",
    "/me",
    "/users",
    "/history",
    "/history/40",
    "/past?page=/&position=60",
    f"/past?page=/host/{fleet.address(2)}&back=0",
    "/past?page=/history&position=80",
    "/diff?at=2026-01-01",
    "/tokens",
    "/webhooks",
    "/webhooks/chat",
    "/planned",
    "/about",
)
SCREENS = [
    ("light", 1440), ("dark", 360),
    # Each scheme and each width has been seen; how they go together is for the proof.
    pytest.param("light", 360, marks=pytest.mark.proof),
    pytest.param("dark", 1440, marks=pytest.mark.proof),
]  # fmt: skip


@pytest.fixture(scope="module")
def browser(seeded: WebService) -> Iterator[Any]:
    """Debian's chromium; it goes before the service, which it would keep from stopping."""
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def planned(seeded: WebService) -> Iterator[list[str]]:
    """What happens later is on the pages: gives an operation that somebody has to approve, and one
    that a gate holds up.
    """
    names = [fleet.plan(seeded), fleet.hold(seeded, "web")]
    yield names
    with seeded.client() as api:
        for name in names:
            state = f"/operation/{name}/state"
            api.put(state, json={"state": "cancelled"}).raise_for_status()


@needs_scripts
@pytest.mark.parametrize(("scheme", "width"), SCREENS)
def test_every_page_is_for_everybody_and_breaks_no_rule(
    browser: Any, seeded: WebService, planned: list[str], scheme: str, width: int
) -> None:
    sat = seat(browser, seeded, color_scheme=scheme, viewport={"width": width, "height": 900})
    found: dict[str, list[str]] = {}
    for path in (*PAGES, *(f"/operation/{name}" for name in planned)):
        sat.page.goto(seeded.url + path)
        if told := violations(sat.page):
            found[path] = told
        assert sat.page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert found == {}
    assert sat.complaints == []
    sat.page.context.close()


@needs_scripts
def test_an_operation_is_begun_watched_and_steered_without_a_reload(
    browser: Any, seeded: WebService
) -> None:
    sat = seat(browser, seeded)
    page = sat.page
    page.goto(f"{seeded.url}/operations/new?cluster=db&kind=restart")
    page.click("text=Show the plan")
    page.fill("#note", "TICKET-8")
    page.click("text=Begin this")
    page.wait_for_selector("text=TICKET-8")
    page.wait_for_selector("text=Live: it changes by itself.")
    name = page.url.rpartition("/")[2]
    page.evaluate("window.loaded = 'once'")
    with seeded.client() as api:
        api.put(f"/operation/{name}/state", json={"state": "paused"}).raise_for_status()
        resume = page.wait_for_selector("button:has-text('Resume')")
        assert resume is not None
        assert page.evaluate("window.loaded") == "once"
        resume.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("button:has-text('Pause')")
        api.put(f"/operation/{name}/state", json={"state": "cancelled"}).raise_for_status()
    assert sat.complaints == []
    page.context.close()


@needs_scripts
def test_now_tells_of_a_failure_without_a_reload(browser: Any, seeded: WebService) -> None:
    sat, host = seat(browser, seeded), fleet.address(12)
    page = sat.page
    page.wait_for_selector("text=Live: it changes by itself.")
    page.evaluate("window.loaded = 'once'")
    page.locator("summary").first.click()
    seeded.fail(host, "<img src=x onerror=alert(1)>", "facts")
    page.wait_for_selector("text=facts not understood")
    assert page.locator("details[open]").count() == 1  # what was opened stays open
    assert page.evaluate("window.loaded") == "once"
    assert sat.complaints == []
    seeded.settle(host)
    page.context.close()


@needs_scripts
def test_history_has_what_happens_on_top_without_a_reload(browser: Any, seeded: WebService) -> None:
    sat, host = seat(browser, seeded), fleet.address(13)
    page = sat.page
    page.goto(f"{seeded.url}/history?subject=host/{host}")
    page.wait_for_selector("text=Live: it changes by itself.")
    seeded.fail(fleet.address(15), "<b>Of another.</b>", "facts")
    seeded.fail(host, "<b>It is gone.</b>", "facts")
    page.wait_for_selector("tbody tr:first-child:has-text('<b>It is gone.</b>')")
    assert page.locator("text=Of another").count() == 0
    assert sat.complaints == []
    seeded.settle(host)
    seeded.settle(fleet.address(15))
    page.context.close()


def test_the_slider_goes_by_events_and_says_what_the_api_says(
    browser: Any, seeded: WebService
) -> None:
    sat = seat(browser, seeded)
    page = sat.page
    page.goto(f"{seeded.url}/past?page=/&position=60")
    handle = page.locator("input[type=range][name=at]")
    handle.focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "End", "Home"):
        wanted = page.locator(f"a[data-key={key}]").get_attribute("href")
        handle.press(key)
        page.wait_for_url(f"{seeded.url}{wanted}")
        page.wait_for_selector(
            "input[type=range][name=at]:focus"
        )  # the handle is still in the hand
        with seeded.client() as api:
            at = page.locator(".slider").get_attribute("data-at")
            then = api.get("/fleet", params={"at": at or ""}).json()
        assert f", position {then['position']}." in page.inner_text(".banner")
        told = f"{then['hosts']['total']} host" if then["hosts"]["total"] else "no host then"
        assert told in page.inner_text("main")
    page.locator("input[type=range][name=to]").press("ArrowLeft")
    page.wait_for_url("**/diff?**")
    assert "What changed" in page.inner_text("h1")
    assert sat.complaints == []
    page.context.close()


@needs_scripts
def test_a_page_says_that_the_service_is_away_and_goes_on_when_it_is_back(
    browser: Any, seeded: WebService
) -> None:
    sat, host = seat(browser, seeded), fleet.address(14)
    page = sat.page
    page.wait_for_selector("text=Live: it changes by itself.")
    page.evaluate("window.loaded = 'once'")
    seeded.run(seeded.server.stop(timeout_s=1))
    page.wait_for_selector("text=The service does not answer")
    seeded.server = Server(seeded.app, "127.0.0.1", seeded.port)
    seeded.run(seeded.server.start())
    page.wait_for_selector("text=Live: it changes by itself.")
    seeded.fail(host, "It is away.", "setup")
    page.wait_for_selector("text=set-up failed")
    assert page.evaluate("window.loaded") == "once"
    seeded.settle(host)
    page.context.close()
