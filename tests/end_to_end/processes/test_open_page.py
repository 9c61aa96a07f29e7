"""A page that is open while the process behind it is killed and started again."""

from pathlib import Path

from tests.fleet.addresses import free_port
from tests.support.service import Service
from tests.web.console.seats import Seat, launched, needs_scripts

GONE = "text=The service does not answer"
NO_ANSWER = ("Failed to load resource: net::ERR_", "[object Event]")
"""What the browser, and htmx, say of a service that does not answer."""
LIVE = "text=Live: it changes by itself."


@needs_scripts
def test_a_page_says_that_the_service_was_killed_and_goes_on_once_it_is_back(
    tmp_path: Path,
) -> None:
    service = Service(tmp_path / "service", None, "--port", str(free_port("127.0.0.1")))
    with service, launched() as browser:
        sat = Seat(browser.new_page(), service.url)
        sat.log_in(service.password)
        page, url = sat.page, service.url
        page.goto(f"{url}/clusters")
        page.wait_for_selector(LIVE)
        page.evaluate("window.loaded = 'once'")
        service.kill()
        page.wait_for_selector(GONE)
        service.start()
        assert service.url == url
        page.wait_for_selector(LIVE)
        assert page.locator("body.cut-off").count() == 0
        assert not page.locator("dialog").is_visible()  # the session goes on
        service.client.put("/cluster/after-the-crash").raise_for_status()
        page.wait_for_selector("tbody a:has-text('after-the-crash')")
        assert page.evaluate("window.loaded") == "once"
        assert not [said for said in sat.complaints if not said.startswith(NO_ANSWER)]
