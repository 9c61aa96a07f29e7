"""Pages read without script: what each tells, where its links lead, and that nothing runs in it."""

import re

import httpx
import pytest

from tests.web.console import fleet
from tests.web.console.browser import Browser, Page, browsing
from tests.web.service import WebService

FAILED = fleet.address(9)
PAGES = (
    "/",
    "/hosts",
    "/hosts?status=failed",
    f"/host/{FAILED}",
    "/me",
    "/clusters",
    "/cluster/web",
    "/operations",
    "/operations/new",
    "/planned",
    "/about",
    "/users",
    "/tokens",
    "/webhooks",
    "/hosts?cluster=web&label=role%3Dfront",
    "/operations?status=paused",
    "/history",
    "/history?type=host.failed&actor=runner:test",
    "/history/9",
)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_right_without_script_and_strict_with_it(admin: Browser, path: str) -> None:
    answer = admin.client.get(path)
    page = Page(answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [of for _, of in page.tags if "style" in of or any(n.startswith("on") for n in of)]
    ids = [of["id"] for _, of in page.tags if "id" in of]
    assert len(ids) == len(set(ids))
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) < 300_000


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_a_page_leads_somewhere(admin: Browser, path: str) -> None:
    for link in {link for link in admin.see(path).links if link.startswith("/")}:
        answer = admin.client.get(link, follow_redirects=True)
        # What is there now may not have been a week ago.
        was_not_there = answer.status_code == 404 and link.startswith("/past")
        assert answer.status_code == 200 or was_not_there, link


def test_now_names_a_source_that_is_stale_and_leads_to_its_events(
    seeded: WebService, admin: Browser
) -> None:
    since = "2026-01-02T03:04:05.000006"
    seeded.perform(lambda unit: unit.source("rack 7").become_stale(since, "It is away."))
    try:
        page = admin.see("/")
        assert "source stale: rack 7" in page.text
        (link,) = {link for link in page.links if "source/" in link}
        assert "has not answered since" in admin.see(link).text
    finally:
        seeded.perform(lambda unit: unit.source("rack 7").come_back())


def test_now_groups_by_cause_with_what_mends_it(admin: Browser) -> None:
    text = admin.see("/").text
    assert "sudo 1 Let the remote user run sudo without a password" in text
    assert "commctl host list --why sudo" in text
    assert '/api/v0/fleet/check --data \'{"kind": "sudo"}\'' in text
    assert "Nothing runs." in text
    assert FAILED in text


def test_facets_and_find_narrow_the_list(admin: Browser) -> None:
    page = admin.see("/hosts")
    assert "role" in page.text
    link = next(link for link in page.links if "label=role%3Dback" in link)
    assert "Hosts 15" in admin.see(link).text
    assert "Hosts 1 " in admin.see("/hosts?q=10.0.0.17").text
    assert "No host matches" in admin.see("/hosts?q=nowhere").text


def test_pages_of_hosts_follow_one_another(admin: Browser) -> None:
    first = admin.see("/hosts?limit=20")
    (link,) = [of["href"] for tag, of in first.tags if of.get("rel") == "next"]
    shown = [
        set(re.findall(r"/host/([0-9.]+)", " ".join(p.links))) for p in (first, admin.see(link))
    ]
    assert not shown[0] & shown[1]


def test_a_failed_host_says_why_and_what_mends_it(admin: Browser) -> None:
    text = admin.see(f"/host/{FAILED}").text
    assert "connection refused" in text
    assert "See that the host is up" in text
    assert f"commctl host check {FAILED}" in text
    assert "registered" in text


def test_pages_show_the_past_and_nothing_to_press(admin: Browser, seeded: WebService) -> None:
    moment = seeded.events[-5].recorded_at
    for path in (
        "/",
        "/hosts",
        f"/host/{FAILED}",
        "/clusters",
        "/cluster/web",
        "/planned",
        "/history",
    ):
        page = admin.see(f"{path}?at={moment}")
        assert "Nothing can be changed here" in page.text
        acts = [of["action"] for tag, of in page.tags if tag == "form" and of["method"] == "post"]
        assert acts in ([], ["/hosts/check"])  # which marks hosts, and has no button then
        assert len([tag for tag, _ in page.tags if tag == "button"]) <= 2  # finds; goes to a time


def test_what_hosts_and_users_say_is_shown_and_never_run(
    admin: Browser, seeded: WebService
) -> None:
    host = fleet.address(16)
    before = seeded.events[-1].recorded_at
    seeded.settle(host, HOSTILE)
    seeded.fail(host, HOSTILE)
    note = "<b>why</b>"
    with seeded.client() as api:
        api.put(
            f"/host/{host}/labels",
            json={"role": "back", "a": "b"},
            headers={"commissaire-note": note},
        )
    failed = next(e for e in reversed(seeded.events) if e.event.TOPIC == "host.failed")
    for path in (
        "/",
        "/hosts?status=failed",
        f"/host/{host}",
        "/history",
        f"/history?subject=host/{host}",
        f"/history/{failed.position}",
        f"/?at={failed.recorded_at}",
        f"/hosts?status=failed&at={failed.recorded_at}",
        f"/diff?at={before}&to={failed.recorded_at}",
    ):
        answer = admin.client.get(path)
        assert "alert(1)" in answer.text, path
        assert "<script>" not in answer.text, path
        assert "<img" not in answer.text, path
        assert "<b>why" not in answer.text, path
    seeded.settle(host)


def test_what_is_not_there_is_said_on_a_page(admin: Browser) -> None:
    for path, status in (("/host/192.0.2.1", 404), ("/hosts?status=odd", 400), ("/?at=x", 400)):
        answer = admin.client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")


def test_styles_are_kept_for_good_and_are_for_strangers(seeded: WebService) -> None:
    login = Page(httpx.get(f"{seeded.url}/login").text)
    (style,) = [of["href"] for tag, of in login.tags if of.get("rel") == "stylesheet"]
    answer = httpx.get(seeded.url + style)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert httpx.get(f"{seeded.url}/static/console.css").status_code == 404
    assert httpx.get(f"{seeded.url}/static/console.000000000000.css").status_code == 404


def test_pages_are_the_same_on_each_engine(service: WebService) -> None:
    hosts = fleet.seed(service, 10)
    with browsing(service) as browser:
        assert "joined cluster" in browser.see("/").text
        assert "registered" in browser.see(f"/host/{hosts[0]}").text
        assert "10.0.0.1 joined" in browser.see("/cluster/web").text
        assert "Hosts 1 " in browser.see("/hosts?status=failed").text
        moment = service.events[-1].recorded_at
        assert "Nothing can be changed here" in browser.see(f"/?at={moment}").text
        first = service.events[0].recorded_at
        assert "Appeared 13" in browser.see(f"/diff?at=2001-01-01&to={moment}").text
        assert "Hosts by status" in browser.see("/history").text
        assert (
            "registered" in browser.see(f"/history?subject=host/{hosts[0]}&actor=runner:test").text
        )
        assert "created with network" in browser.see("/history/1").text
        assert "One event on" in browser.see(f"/hosts?at={first}").text
        assert len(browser.client.get("/map/hosts").json()["cells"]) == len(hosts)
        assert len(browser.client.get("/history.json").json()) > len(hosts)


def test_what_changed_of_memory_is_told_as_people_say_it(admin: Browser) -> None:
    page = admin.see(f"/host/{fleet.address(5)}")
    assert "memory: – → 11.4 GiB" in page.text
    assert "space: – → 476 MiB" in page.text
