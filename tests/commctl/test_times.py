"""Times as people say them, wherever a time is asked for: one service for all of these tests."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commctl.show.times import full, moment, short
from tests.commctl.in_process import Here
from tests.support.service import Service

NOW = datetime(2026, 11, 26, 7, 19, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two clusters, `web` before `db`."""
    with Service(tmp_path_factory.mktemp("times")) as running:
        for name in ("web", "db"):
            running.client.put(f"/cluster/{name}").raise_for_status()
        yield running


@pytest.fixture
def here(
    shared: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Here:
    """Somebody who may read its data directory."""
    return Here(shared, tmp_path, monkeypatch, capsys)


@pytest.fixture
def web(shared: Service) -> tuple[str, str]:
    """The position at which `web` was made, and when that was."""
    (event,) = shared.client.get("/events?subject=cluster/web").json()
    return f"@{event['id']}", event["time"]


EARLIER = ("-1h", "yesterday", "2026-01-01", "2026-01-01T01:00+01:00")


@pytest.mark.parametrize("at", EARLIER)
def test_a_time_of_the_past_is_taken_by_every_command_that_takes_one(here: Here, at: str) -> None:
    assert here.run("cluster", "list", "--at", at) == ""
    assert here.run("host", "list", "--at", at) == ""
    assert ["hosts", "0"] in here.rows("status", "--at", at)
    for command in (("cluster", "show", "web"), ("host", "show", "10.0.0.7"), ("status", "web")):
        here.run(*command, "--at", at, status=1)
    assert [row[0] for row in here.rows("diff", at)] == ["cluster/db", "cluster/web"]
    assert here.rows("diff", at, "now", "web") == [["cluster/web", "added", "", "ok"]]
    assert here.rows("diff", at, "cluster/web") == [["cluster/web", "added", "", "ok"]]
    named = [row[2] for row in here.rows("history", "--type", "cluster.created", "--since", at)]
    assert named == ["cluster/web", "cluster/db"]
    assert here.run("history", "--until", at) == ""


def test_a_position_is_a_time_to_the_event(here: Here, web: tuple[str, str]) -> None:
    position, then = web
    assert [row[0] for row in here.rows("cluster", "list", "--at", position)] == ["web"]
    assert [row[0] for row in here.rows("cluster", "list", "--at", then)] == ["web"]
    assert ["name", "web"] in here.rows("cluster", "show", "web", "--at", position)
    assert ["name", "web"] in here.rows("status", "web", "--at", position)
    assert here.rows("diff", position) == [["cluster/db", "added", "", "ok"]]
    assert here.run("diff", position, "web") == ""
    only = ("history", "--since", position, "--until", position, "-o", "jsonl")
    assert here.run(*only).count("\n") == 1
    assert here.rows("history", "--since", "@0") == here.rows("history")
    assert "no event at position" in (
        here.run("cluster", "list", "--at", "@999999", status=1) or here.said
    )


@pytest.mark.parametrize(
    "command",
    [
        ("cluster", "list", "--at", "last week"),
        ("host", "list", "--at", "-2x"),
        ("status", "--at", "25:00"),
        ("history", "--since", "@x"),
        ("history", "--until", "-2h3"),
        ("diff", "--nothing", "web"),
        ("diff", "-1h", "-2h", "-3h"),
        ("diff", "web"),
        ("diff",),
    ],
)
def test_what_is_no_time_is_wrong_use_and_says_what_one_is(
    here: Here, command: tuple[str, ...]
) -> None:
    here.run(*command, status=2)
    assert any(word in here.said for word in ("-2h", "@4711", "Missing")), here.said


def test_a_subject_of_diff_that_nobody_knows_is_refused(here: Here) -> None:
    here.run("diff", "-1h", "nobody", status=1)
    assert "heard of nobody" in here.said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("-2h", "2026-11-26T05:19:31.000000"),
        ("-1.5m", "2026-11-26T07:18:01.000000"),
        ("today", "2026-11-26T00:00:00.000000"),
        ("yesterday", "2026-11-25T00:00:00.000000"),
        ("07:00", "2026-11-26T07:00:00.000000"),
        ("23:00", "2026-11-25T23:00:00.000000"),
        ("2026-11-26", "2026-11-26T00:00:00.000000"),
        ("2026-11-26T01:00:00+01:00", "2026-11-26T00:00:00.000000"),
    ],
)
def test_times_as_people_say_them(text: str, told: str) -> None:
    assert moment(text, NOW) == told


def test_words_are_in_the_zone_as_it_was_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the day after the clocks went back, yesterday began an hour sooner than 24 hours ago."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        now = datetime(2026, 10, 25, 10, 0, tzinfo=UTC)
        assert moment("yesterday", now, None) == "2026-10-23T22:00:00.000000"
        assert moment("2026-07-01T12:00", now, None) == "2026-07-01T10:00:00.000000"
        assert moment("10:30", now, None) == "2026-10-25T09:30:00.000000"
        assert moment("-1d", now, None) == f"{now - timedelta(days=1):%FT%T.000000}"
        assert full("2026-07-01T10:00:00", None) == "2026-07-01 12:00:00 CEST"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2026-11-26T23:04:00", "23:04"),
        ("2026-11-25T23:04:00", "1d ago"),
        ("2026-01-02T23:04:00", "2026-01-02"),
        ("2026-11-27T23:04:00", "2026-11-27 23:04"),
    ],
)
def test_a_list_says_of_what_comes_also_at_what_time_of_its_day(time: str, told: str) -> None:
    assert short(time, NOW) == told
