"""Ten real hosts on the console's pages, and their rolling restart watched from the form on."""

from pathlib import Path
from urllib.parse import quote

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.operations.rolled import Rolled, reboots
from tests.fleet import Fleet
from tests.support.service import Service
from tests.web.console.seats import Seat, launched, needs_scripts, violations

HOSTS = 10
OVER_MS = 120_000
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
SYSTEMS = ("fedora", "debian")


@needs_scripts
def test_a_rolling_restart_is_watched_from_the_form_to_finished(
    tmp_path: Path, fleet: Fleet
) -> None:
    hosts = [fleet.add(SYSTEMS[number % len(SYSTEMS)]) for number in range(HOSTS)]
    for host in hosts[:2]:
        host.banner(MARKUP)
    with Service(tmp_path / "service", None, *QUICK) as service:
        rolled = Rolled(service, hosts)
        with launched() as browser:
            sat = Seat(browser.new_page(), service.url)
            sat.log_in(service.password)
            _look_at_each_page(sat, rolled)
            page = sat.page
            page.goto(f"{service.url}/operations/new?cluster={rolled.cluster}&kind=restart")
            page.fill("[name=max_parallel]", "5")
            page.click("text=Show the plan")
            page.fill("#note", "TICKET-9")
            page.click("text=Begin this")
            page.wait_for_selector("text=Live: it changes by itself.")
            page.evaluate("window.loaded = 'once'")
            page.wait_for_selector("h1:has-text('finished')", timeout=OVER_MS)
            page.wait_for_selector(f"text={HOSTS} of {HOSTS} done")
            assert page.evaluate("window.loaded") == "once"
            assert violations(page) == []
            assert "<script>alert" not in page.content()
            assert all(reboots(host) for host in hosts)
            assert sat.complaints == []


def _look_at_each_page(sat: Seat, rolled: Rolled) -> None:
    address = quote(rolled.hosts[0].address, safe="")
    paths = ("/", "/hosts", f"/host/{address}", "/clusters", f"/cluster/{rolled.cluster}",
             "/history", "/history/1", "/past?page=/&back=0", "/about")  # fmt: skip
    for path in paths:
        sat.page.goto(sat.url + path)
        assert violations(sat.page) == [], path
    sat.page.goto(f"{sat.url}/hosts")
    for host in rolled.hosts:
        assert host.address in sat.page.inner_text("main")
