"""What script adds to every page: keys, the scheme, times of here, and the log-in in its place."""

from collections.abc import Iterator
from typing import Any

import pytest

from projections.beside_the_log import outputs
from tests.web.console import fleet
from tests.web.console.seats import launched, needs_scripts, seat
from tests.web.service import WebService

AT = "2026-01-02T03:04:05.000006"


@pytest.fixture(scope="module")
def browser(seeded: WebService) -> Iterator[Any]:
    """Debian's chromium; it goes before the service, which it would keep from stopping."""
    with launched() as started:
        yield started


def test_keys_find_go_walk_and_mark_and_can_be_off(browser: Any, seeded: WebService) -> None:
    sat = seat(browser, seeded)
    page, keys = sat.page, sat.page.keyboard
    for key, path in (("h", "/hosts"), ("c", "/clusters"), ("o", "/operations"), ("p", "/?at=*")):
        keys.press("g")
        keys.press(key)
        page.wait_for_url(f"{seeded.url}{path}")
        page.wait_for_selector("footer button:has-text('Keys')")
    page.goto(f"{seeded.url}/hosts?sort=address")
    page.wait_for_selector("footer button:has-text('Keys')")
    for key in ("j", "j", "k", "j", "x"):
        keys.press(key)
    second = page.locator("tbody tr").nth(1)
    assert second.locator("input[type=checkbox]").is_checked()
    assert page.locator("tbody input:checked").count() == 1
    keys.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    keys.type("gh/?x")
    assert page.input_value("#q") == "gh/?x"
    second.locator("a").first.focus()
    keys.press("Enter")
    page.wait_for_url(f"{seeded.url}/host/*")
    page.wait_for_selector("footer button:has-text('Keys')")
    keys.press("?")
    page.locator("#keys-on").uncheck()
    keys.press("Escape")
    for key in ("g", "h", "?"):
        keys.press(key)
    assert "/host/" in page.url
    assert not page.locator("dialog").is_visible()
    page.locator("footer button:has-text('Keys')").click()  # and on again
    page.locator("#keys-on").check()
    assert sat.complaints == []
    page.context.close()


@needs_scripts
def test_an_operation_is_paused_and_resumed_from_the_keyboard_alone(
    browser: Any, seeded: WebService
) -> None:
    with seeded.client() as api:
        api.put("/cluster/db/restart").raise_for_status()
        name = api.get("/operations?cluster=db").json()[0]["id"]
    sat = seat(browser, seeded)
    page = sat.page
    page.goto(f"{seeded.url}/operation/{name}")
    for seen in ("Resume", "Pause", "Resume"):
        page.wait_for_selector("footer button:has-text('Keys')")
        page.wait_for_selector("#steer button")
        page.keyboard.press("p")
        page.wait_for_selector(f"#steer button:has-text('{seen}')")
    with seeded.client() as api:
        assert api.get(f"/operation/{name}").json()["status"] == "paused"
        api.put(f"/operation/{name}/state", json={"state": "cancelled"}).raise_for_status()
    assert sat.complaints == []
    page.context.close()


def test_the_scheme_is_chosen_and_kept(browser: Any, seeded: WebService) -> None:
    sat = seat(browser, seeded, color_scheme="light")
    page = sat.page
    paper = "getComputedStyle(document.body).backgroundColor"
    as_system = page.evaluate(paper)
    button = page.locator("footer button:has-text('Colours')")
    button.click()
    assert page.evaluate(paper) == as_system  # light, whatever the system becomes
    button.click()
    dark = page.evaluate(paper)
    assert dark != as_system
    page.goto(f"{seeded.url}/hosts")
    assert page.evaluate(paper) == dark
    page.locator("footer button:has-text('Colours')").click()
    assert page.evaluate(paper) == as_system
    page.context.close()


def test_times_are_of_here_with_the_zone_and_utc_on_hover(browser: Any, seeded: WebService) -> None:
    sat = seat(browser, seeded, timezone_id="Asia/Kolkata")
    page = sat.page
    page.goto(f"{seeded.url}/past?page=/hosts&back=0")
    page.wait_for_selector(".banner time:has-text('GMT+5:30')")
    shown = page.locator(".banner time").first
    assert (shown.get_attribute("title") or "").endswith("UTC")
    row = page.locator("tbody time").first
    assert "GMT+5:30" in (row.get_attribute("title") or "")
    assert "UTC" in (row.get_attribute("title") or "")
    page.context.close()


@needs_scripts
def test_an_ended_session_is_asked_for_in_place_and_what_was_typed_stays(
    browser: Any, seeded: WebService
) -> None:
    sat = seat(browser, seeded)
    page, host = sat.page, fleet.address(21)
    page.goto(f"{seeded.url}/host/{host}")
    page.fill("#label", "role=typed")
    page.evaluate("window.loaded = 'once'")
    with seeded.client() as api:
        for session in api.get("/sessions").json():
            api.delete(f"/session/{session['id']}").raise_for_status()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_selector("text=The session has ended")
    page.fill("#again-password", "wrong")
    page.click("dialog button")
    page.wait_for_selector("text=The user name or the password is wrong")
    page.fill("#again-password", "admin")
    page.click("dialog button")
    page.wait_for_selector("dialog", state="hidden")
    assert page.evaluate("window.loaded") == "once"
    assert page.input_value("#label") == "role=typed"
    page.click("text=Set the label")
    page.wait_for_selector("text=role=typed")
    page.context.close()


def test_a_form_that_a_form_has_made_is_sent_after_the_log_in_in_its_place(
    browser: Any, seeded: WebService
) -> None:
    sat = seat(browser, seeded)
    page = sat.page
    page.goto(f"{seeded.url}/operations/new?cluster=cache")
    page.click("text=Show the plan")
    page.wait_for_url("**/operations/plan")
    with seeded.client() as api:
        for session in api.get("/sessions").json():
            api.delete(f"/session/{session['id']}").raise_for_status()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.fill("#again-password", "admin")
    page.click("dialog button")
    page.wait_for_selector("dialog", state="hidden")
    page.click("main form[action='/operations/begin'] button")
    page.wait_for_url("**/operation/*-*")
    with seeded.client() as api:
        name = page.url.rpartition("/")[2]
        api.put(f"/operation/{name}/state", json={"state": "cancelled"}).raise_for_status()
    page.context.close()


@needs_scripts
@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("/hosts?status=failed", "h1:has-text('Hosts 3')", "h1:has-text('Hosts 4')"),
        ("/clusters", "tr:has-text('web') td:text-is('1')", "tr:has-text('web') td:text-is('2')"),
        ("/cluster/web", "text=, 1 unavailable", "text=, 2 unavailable"),
    ],
)
def test_hosts_and_clusters_change_by_themselves(
    browser: Any, seeded: WebService, path: str, before: str, after: str
) -> None:
    host = fleet.address(4)  # of web
    sat = seat(browser, seeded)
    page = sat.page
    page.goto(f"{seeded.url}{path}")
    page.wait_for_selector("text=Live: it changes by itself.")
    page.wait_for_selector(before)
    page.evaluate("window.loaded = 'once'")
    if "status" in path:
        page.locator("tbody input[type=checkbox]").first.check()
    seeded.fail(host, "<b>It is gone.</b>", "facts")
    page.wait_for_selector(after)
    if "status" in path:
        page.wait_for_selector(f"tbody:has-text('{host}')")
        assert page.locator("tbody input:checked").count() == 1  # what was marked stays so
    assert page.evaluate("window.loaded") == "once"
    assert sat.complaints == []
    seeded.settle(host)
    page.context.close()


@needs_scripts
def test_a_host_changes_by_itself_and_what_is_typed_stays(browser: Any, seeded: WebService) -> None:
    host = fleet.address(22)
    sat = seat(browser, seeded)
    page = sat.page
    page.goto(f"{seeded.url}/host/{host}")
    page.wait_for_selector("text=Live: it changes by itself.")
    page.evaluate("window.loaded = 'once'")
    page.fill("#label", "role=typed")
    seeded.fail(host, "<b>It is gone.</b>", "facts")
    page.wait_for_selector("h1:has-text('failed')")
    page.wait_for_selector("#top .problem:has-text('<b>It is gone.</b>')")
    page.wait_for_selector("#happened tr:first-child:has-text('failed')")
    assert page.input_value("#label") == "role=typed"
    assert page.evaluate("window.loaded") == "once"
    assert sat.complaints == []
    seeded.settle(host)
    page.context.close()


@needs_scripts
def test_operations_change_by_themselves(browser: Any, seeded: WebService) -> None:
    sat = seat(browser, seeded)
    page = sat.page
    page.goto(f"{seeded.url}/operations?status=in_process")
    page.wait_for_selector("text=Live: it changes by itself.")
    page.evaluate("window.loaded = 'once'")
    with seeded.client() as api:
        api.put("/cluster/web/restart").raise_for_status()
        page.wait_for_selector("tbody a:has-text('restart of web')")
        name = api.get("/operations?cluster=web").json()[0]["id"]
        api.put(f"/operation/{name}/state", json={"state": "cancelled"}).raise_for_status()
    page.wait_for_selector("tbody a:has-text('restart of web')", state="detached")
    assert page.evaluate("window.loaded") == "once"
    assert sat.complaints == []
    page.context.close()


@needs_scripts
def test_output_is_followed_to_its_end(browser: Any, seeded: WebService) -> None:
    with seeded.client() as api:
        api.put("/cluster/cache/restart").raise_for_status()
        found = api.get("/operations?cluster=cache").json()[0]["id"]
        host = api.get(f"/operation/{found}").json()["hosts"][0]["address"]

    def say(place: int, said: bytes) -> None:
        seeded.perform(
            lambda unit: unit.write_beside(lambda tx: outputs.add(tx, found, host, place, said, AT))
        )

    say(0, b"first\n")
    sat = seat(browser, seeded)
    page = sat.page
    page.goto(f"{seeded.url}/operation/{found}/hosts/{host}/output")
    page.wait_for_selector("text=Live: it changes by itself.")
    assert page.inner_text(".output") == "first\n"
    say(len(b"first\n"), b"second \x1b[31m<script>alert(1)</script>\n")
    page.wait_for_selector(".output:has-text('second \\\\x1b[31m<script>alert(1)</script>')")
    assert page.is_checked("#follow")
    with seeded.client() as api:
        for session in api.get("/sessions").json():
            api.delete(f"/session/{session['id']}").raise_for_status()
    page.wait_for_selector("text=Trying again.")
    page.fill("#again-password", "admin")
    page.click("dialog button")
    page.wait_for_selector("text=Live: it changes by itself.")
    said = len(b"first\nsecond \x1b[31m<script>alert(1)</script>\n")
    say(said, b"third\n")
    page.wait_for_selector(".output:has-text('third')")
    assert page.inner_text(".output").count("second") == 1
    page.uncheck("#wrap")
    assert page.locator(".output.unwrapped").count() == 1
    with seeded.client() as api:
        api.put(f"/operation/{found}/state", json={"state": "cancelled"}).raise_for_status()
    page.wait_for_selector("text=It has ended")
    assert sat.complaints == []
    page.context.close()
