"""What happened, on pages: filters, older ones, files, and what follows from what."""

import csv
import shlex
from io import StringIO

import pytest

from domain.event import Act
from domain.log.recorder import now
from tests.web.console import fleet
from tests.web.console.browser import Browser, Page
from tests.web.service import TIMEOUT_S, WebService

HOST = fleet.address(4)
FORMULA = "=cmd|' /C calc'!A0"


def shown(browser: Browser, path: str) -> list[str]:
    """The positions of the events that a page shows."""
    links = [link.partition("/history/")[2] for link in browser.see(path).links]
    return [link for link in links if link.isdigit()]


def test_history_has_the_newest_first_and_goes_on_to_the_oldest(admin: Browser) -> None:
    found: list[str] = []
    path = "/history"
    while path:
        page = admin.see(path)
        found += shown(admin, path)
        path = next((of["href"] for _, of in page.tags if of.get("rel") == "next"), "")
    positions = [int(each) for each in found]
    assert positions == sorted(positions, reverse=True)
    assert positions[-1] == 1
    assert len(positions) == len(set(positions)) >= 100


@pytest.mark.parametrize(
    "query",
    [
        f"subject=host/{HOST}",
        "type=host.failed",
        "actor=runner:test&type=host.labels_changed",
        "subject=cluster/web&type=&actor=&since=&until=",
        "since=2026-01-01&until=2100-01-01T00:00",
        "until=2001-01-01",
    ],
)
def test_filters_are_those_of_events(admin: Browser, seeded: WebService, query: str) -> None:
    asked = "&".join(pair for pair in query.split("&") if not pair.endswith("="))
    with seeded.client() as api:
        wanted = [event["id"] for event in api.get(f"/events?limit=1000&{asked}").json()]
    assert shown(admin, f"/history?{query}") == wanted[::-1][:50]


def test_a_wrong_filter_is_refused_on_a_page(admin: Browser) -> None:
    for query in ("type=odd", "since=soon", "before=x"):
        assert admin.client.get(f"/history?{query}").status_code == 400


def test_a_subject_says_what_each_event_changed(admin: Browser) -> None:
    assert "status: – → investigating" in admin.see(f"/history?subject=host/{HOST}").text


def test_all_that_the_filter_lets_through_comes_as_a_file(
    admin: Browser, seeded: WebService
) -> None:
    host = fleet.address(6)
    with seeded.client() as api:
        api.put(
            f"/host/{host}/labels",
            json={"role": "back", "rack": "1"},
            headers={"commissaire-note": FORMULA},
        ).raise_for_status()
    answer = admin.client.get(f"/history.csv?subject=host/{host}")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert rows[0]["note"] == f"'{FORMULA}"
    assert rows[-1]["type"] == "host.registered"
    records = admin.client.get(f"/history.json?subject=host/{host}").json()
    assert [record["id"] for record in records] == [row["id"] for row in rows]
    assert records[0]["note"] == FORMULA
    assert admin.client.get("/history.json?until=2001-01-01").json() == []
    everything = admin.client.get("/history.json").json()
    with seeded.engine.snapshot() as tx:
        (count,) = tx.execute("SELECT count(*) FROM stored_events").fetchone()
    assert len(everything) == count


def test_an_event_leads_to_its_request_and_to_what_followed(
    admin: Browser, seeded: WebService
) -> None:
    asked = Act("alice", "TICKET-9", now())
    host = fleet.address(7)
    changed = seeded.writer.submit(
        asked, lambda unit: unit.host(host).change_labels({"role": "other"})
    )
    changed.result(TIMEOUT_S)
    with seeded.engine.snapshot() as tx:
        version = tx.execute(
            "SELECT max(originator_version) FROM stored_events WHERE originator_id = ?",
            (f"host/{host}",),
        ).fetchone()[0]
    follows = Act("runner:somebody", f"host/{host}@{version}", now())
    seeded.writer.submit(follows, lambda unit: unit.host(host).change_labels({"role": "back"}))
    seeded.writer.submit(asked, lambda unit: unit.host(host).change_labels({"role": "b"})).result(
        TIMEOUT_S
    )
    for position in shown(admin, f"/history?subject=host/{host}")[:3]:
        page = admin.see(f"/history/{position}")
        assert "request TICKET-9" in page.text
        assert "labelled role=other by alice" in page.text
        assert "labelled role=back by runner:somebody" in page.text
        assert (
            len(
                [of for _, of in page.tags if "aria-current" in of and of["aria-current"] == "true"]
            )
            == 1
        )


def test_an_event_that_is_not_there_is_said_to_be_so(admin: Browser) -> None:
    assert admin.client.get("/history/999999").status_code == 404
    assert admin.client.get("/history/x").status_code == 400


EVIL = "x; rm -rf ~ #$(id)`id`'\"&|"


def told(page: Page) -> list[list[str]]:
    """The commands that a page has to be copied, in words as a shell has them."""
    return [shlex.split(each) for each in page.texts if each.startswith(("commctl ", "curl "))]


def test_a_link_hands_nobody_a_command_of_its_own(admin: Browser) -> None:
    asked = {"actor": EVIL, "subject": f"-s {EVIL}", "since": "2026-01-01", "until": "2100-01-01"}
    page = Page(admin.client.get("/history", params=asked).text)
    (said, curl) = told(page)
    assert said == ["commctl", "history", "--actor", EVIL, "--since", "2026-01-01", "--until",
                    "2100-01-01T00:00:00.000000", "--", f"-s {EVIL}"]  # fmt: skip
    assert curl[:2] == ["curl", "-nf"]
    assert len(curl) == 3
    with_time = admin.client.get("/history", params={"at": "2026-01-01", "until": "2100-01-01"})
    assert told(Page(with_time.text))[0][-1] == "2026-01-01T00:00:00.000000"


@pytest.mark.parametrize("path", ["/hosts", "/operations"])
def test_filters_are_quoted_in_what_is_copied(admin: Browser, path: str) -> None:
    for name in ("cluster", "status", "kind", "os", "label", "q", "actor"):
        answer = admin.client.get(path, params={name: EVIL})
        if answer.status_code == 200:
            (said, curl) = told(Page(answer.text))
            assert not {"rm", "-rf", "x;"} & {*said, *curl}


def test_an_export_has_the_smaller_of_two_ends(admin: Browser, seeded: WebService) -> None:
    middle, end = (seeded.events[at].recorded_at for at in (20, -1))
    page = admin.see(f"/history?at={end}&until={middle}")
    (link,) = [link for link in page.links if link.startswith("/history.json")]
    records = admin.client.get(link).json()
    assert records
    assert max(record["time"].rstrip("Z") for record in records) <= middle
