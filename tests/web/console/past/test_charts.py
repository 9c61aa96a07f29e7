"""Charts say what the counts were: as areas, in words, and as a table."""

import asyncio
import re
from typing import cast

import pytest

from projections.past import course
from projections.past.course import Course, Point
from projections.past.past_reads import PastReads
from projections.reads import Reads, reads
from tests.web.console import fleet
from tests.web.console.browser import Browser
from tests.web.service import TIMEOUT_S, WebService
from web.console.past.charts import COLUMNS, HEIGHT, ROWS_MAX, chart, of_fleet, of_operation
from web.events import timeline

BEGIN = "2026-01-02T03:00:00.000000"


def at(minute: float) -> str:
    """So many minutes after the beginning."""
    seconds = round(minute * 60)
    return f"2026-01-02T{3 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.000000"


def test_an_area_is_as_high_as_its_count_from_then_on() -> None:
    found = chart(
        [
            (at(0), {"failed": 0, "active": 10}),
            (at(30), {"failed": 5, "active": 5}),
            (at(45), {"failed": 0, "active": 20}),
        ],
        ("failed", "active"),
        at(60),
    )
    assert found is not None
    assert found.top == 20
    failed, active = found.layers
    assert failed.path == "M0 120V120H500V90H750V120H1000V120H750V120H500V120H0z"
    assert active.path == "M0 60V60H500V60H750V0H1000V120H750V90H500V120H0z"
    assert "failed 0, 5 at most" in found.text
    assert [time for time, _ in found.rows] == [at(0), at(30), at(45)]


def test_a_long_course_is_short_on_a_page() -> None:
    moments = [(at(n / 60), {"active": n % 7 + 1, "failed": n % 3}) for n in range(3_000)]
    found = chart(moments, ("failed", "active"), at(50))
    assert found is not None
    assert len(found.rows) <= ROWS_MAX + 1
    assert found.rows[-1] == moments[-1]
    assert sum(len(layer.path) for layer in found.layers) < 24 * 2 * 2 * COLUMNS
    assert all(
        float(y) <= HEIGHT for layer in found.layers for y in re.findall(r"V([\d.]+)", layer.path)
    )


def test_of_the_past_the_chart_ends_then() -> None:
    read = Course()
    read.is_whole = True
    read.points = [Point(at(n), (n, 0, 0, 0, 1)) for n in range(10)]
    found = of_fleet(read, at(5))
    assert found is not None
    assert found.rows[-1] == (at(5), dict(found.rows[-1][1]))
    assert "active 5, 5 at most" in found.text
    assert of_fleet(Course(), at(5)) is None


class SlowLog:
    """Reads that take as long as they are held up; `most` is how many there were at once."""

    def __init__(self) -> None:
        self.go, self.has_begun = asyncio.Event(), asyncio.Event()
        self.begun = self.now = self.most = 0

    async def fresh(self, query: object, *args: object) -> bool:
        """A piece of the log, and there is no more."""
        self.has_begun.set()
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        return False

    scan = point = fresh

    def close(self) -> None:
        """Nothing is open."""


async def test_no_page_waits_longer_than_the_limit_and_one_that_leaves_stops_no_read(
    seeded: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "COURSE_S", 0.05)
    slow = SlowLog()
    past = PastReads(seeded.engine)
    told = timeline.Timeline(cast(Reads, slow), cast(Reads, slow), past)
    async with asyncio.timeout(TIMEOUT_S):
        leaving = asyncio.create_task(told.course())
        await slow.has_begun.wait()
        leaving.cancel()
        found = await asyncio.gather(*(told.course() for _ in range(5)))
        assert not any(each.is_whole for each in found)
        assert (slow.begun, slow.now, slow.most) == (1, 1, 1)
        slow.go.set()
        await told.course()
    assert slow.most == 1
    past.close()


async def test_of_a_long_log_a_page_shows_what_was_read_so_far_and_says_so(
    seeded: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "READ_S", 0.0)
    monkeypatch.setattr(course, "READ_POSITIONS", 50)
    log = reads(seeded.engine)
    past = PastReads(seeded.engine)
    told = timeline.Timeline(log, log, past)
    end = seeded.events[-1].recorded_at
    some = of_fleet(await told.course(), end)
    assert some is not None
    assert some.read_to == some.end < end
    for _ in seeded.events:
        if (await told.course()).is_whole:
            break
    every = of_fleet(await told.course(), end)
    assert every is not None
    assert (every.read_to, every.end) == ("", end)
    log.close()
    past.close()


def test_history_and_operations_have_charts(admin: Browser, seeded: WebService) -> None:
    name = fleet.upgrade(seeded, "web", done=3, broken=1)
    page = admin.see(f"/operation/{name}")
    assert "Hosts that have ended, over time" in page.text
    labels = [of["aria-label"] for tag, of in page.tags if tag == "svg" and "aria-label" in of]
    assert any("done 3, 3 at most; failed 1, 1 at most" in label for label in labels)
    page = admin.see("/history")
    with seeded.client() as api:
        counts = api.get("/fleet/facets").json()["status"]
    labels = [of["aria-label"] for tag, of in page.tags if tag == "svg" and "aria-label" in of]
    assert any(f"failed {counts['failed']}, " in label for label in labels)
    assert any(f"active {counts['active']}, " in label for label in labels)
    assert "Hosts by status" not in admin.see("/history?type=host.failed").text
    with seeded.client() as api:
        api.put(f"/operation/{name}/state", json={"state": "cancelled"}).raise_for_status()


def test_the_chart_of_very_many_hosts_counts_all_of_them_once_a_column() -> None:
    hosts = [
        {
            "finished_at": f"2026-01-01T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.000000Z",
            "outcome": "failed" if n % 10 == 0 else "done",
        }
        for n in range(20_000)
    ]
    counts = {"done": 18_000, "failed": 2_000, "skipped": 0}
    begin, end = "2026-01-01T00:00:00.000000", "2026-01-01T06:00:00.000000"
    found = of_operation(
        {"hosts": hosts, "counts": counts, "started_at": begin, "finished_at": end}, end
    )
    assert found is not None
    assert "done 18000" in found.text
    assert "failed 2000" in found.text
    assert found.top == 20_000
    assert found.rows[-1][1] == {"failed": 2_000, "unknown": 0, "done": 18_000}
