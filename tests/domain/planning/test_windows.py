"""A window: when it is open, until when, when next; and what becomes of one."""

from collections.abc import Sequence

import pytest

from domain.aggregates.planning.window import (
    Defined,
    Hours,
    Opening,
    Removed,
    Window,
    checked_hours,
)
from domain.refusal import Refusal
from tests.domain.given import given

HOUR_S = 3600
NIGHTS = Hours("Europe/Berlin", "0 22 * * 1-5", 6 * HOUR_S)
DEFINED = Defined("Europe/Berlin", "0 22 * * 1-5", 6 * HOUR_S, [])


def at(text: str | None) -> str | None:
    """A time as the log has it."""
    return text and f"{text}:00.000000"


def opening(hours: Hours, asked: str) -> tuple[bool, str | None, str | None]:
    """What is told of a window at a time."""
    return hours.opening(f"{asked}:00.000000")


@pytest.mark.parametrize(
    ("asked", "is_open", "until", "following"),
    [
        # Winter in Berlin: 22:00 is 21:00 UTC. 2026-12-04 is a Friday.
        ("2026-12-04T20:59", False, None, "2026-12-04T21:00"),
        ("2026-12-04T21:00", True, "2026-12-05T03:00", "2026-12-07T21:00"),
        ("2026-12-05T02:59", True, "2026-12-05T03:00", "2026-12-07T21:00"),
        ("2026-12-05T03:00", False, None, "2026-12-07T21:00"),
    ],
)
def test_it_is_open_from_its_start_for_its_seconds_and_then_closed(
    asked: str, is_open: bool, until: str | None, following: str
) -> None:
    assert opening(NIGHTS, asked) == (is_open, at(until), at(following))


@pytest.mark.parametrize(
    ("zone", "starts", "begin", "end"),
    [
        # Six hours are six hours, though the clocks are changed meanwhile.
        ("Europe/Berlin", "0 22 * * *", "2026-10-24T20:00", "2026-10-25T02:00"),
        ("Europe/Berlin", "0 22 * * *", "2026-03-28T21:00", "2026-03-29T03:00"),
        ("America/New_York", "0 22 * * *", "2026-11-01T02:00", "2026-11-01T08:00"),
        ("America/New_York", "0 22 * * *", "2026-03-08T03:00", "2026-03-08T09:00"),
        ("Australia/Lord_Howe", "0 22 * * *", "2026-04-04T11:00", "2026-04-04T17:00"),
        ("UTC", "0 22 * * *", "2026-10-24T22:00", "2026-10-25T04:00"),
        # A start that is not there is right after the gap; the one that comes twice is the first.
        ("Europe/Berlin", "30 2 * * *", "2026-03-29T01:00", "2026-03-29T07:00"),
        ("America/New_York", "30 2 * * *", "2026-03-08T07:00", "2026-03-08T13:00"),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T15:30", "2026-10-03T21:30"),
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T00:30", "2026-10-25T06:30"),
    ],
)
def test_it_is_open_for_as_long_where_clocks_are_changed(
    zone: str, starts: str, begin: str, end: str
) -> None:
    hours = Hours(zone, starts, 6 * HOUR_S)
    assert opening(hours, begin)[:2] == (True, at(end))
    assert not opening(hours, end)[0]
    before = f"{begin[:-2]}{int(begin[-2:]) - 1:02}" if begin[-2:] != "00" else None
    assert before is None or not opening(hours, before)[0]


def test_where_it_opens_again_before_its_end_it_stays_open() -> None:
    hours = Hours("UTC", "0 20,23 * * *", 4 * HOUR_S)
    assert opening(hours, "2026-12-01T21:00") == (
        (True, at("2026-12-02T03:00"), at("2026-12-02T20:00"))
    )
    touching = Hours("UTC", "0 0 * * *", 24 * HOUR_S)
    found = touching.opening("2026-12-01T21:00:00.000000")
    assert found.is_open
    assert found.until is not None
    assert found.until > "2027-12-01"


@pytest.mark.parametrize("duration_s", [60, HOUR_S, 7 * 24 * HOUR_S])
def test_one_that_opens_each_minute_is_open_at_any_time(duration_s: int) -> None:
    hours = Hours("Europe/Berlin", "* * * * *", duration_s)
    found = hours.opening("2026-12-01T21:00:30.000000")
    assert found.is_open
    assert found.until is not None
    assert found.until > "2026-12-01T21:00:30.000000"


def test_it_does_not_open_on_excepted_dates_and_what_opened_before_stays_open() -> None:
    hours = Hours("Europe/Berlin", "0 22 * * *", 6 * HOUR_S, ("2026-12-24", "2026-12-25"))
    assert opening(hours, "2026-12-24T01:00") == (
        (True, at("2026-12-24T03:00"), at("2026-12-26T21:00"))
    )
    assert opening(hours, "2026-12-24T22:00") == (False, None, at("2026-12-26T21:00"))
    each_minute = Hours("UTC", "* * * * *", 60, tuple(f"2026-12-{day:02}" for day in range(1, 32)))
    assert opening(each_minute, "2026-12-15T12:00") == (False, None, at("2027-01-01T00:00"))


def test_one_that_opens_no_more_says_so() -> None:
    last = Hours("UTC", "0 0 31 12 *", 60)
    assert last.opening("9999-12-31T12:00:00.000000") == Opening(False, None, None)


@pytest.mark.parametrize(
    ("key", "zone", "starts", "duration_s", "dates"),
    [
        ("zone", "Mars/Base", "0 22 * * *", 60, []),
        ("starts", "UTC", "0 25 * * *", 60, []),
        ("duration_s", "UTC", "0 22 * * *", 59, []),
        ("duration_s", "UTC", "0 22 * * *", 7 * 24 * HOUR_S + 1, []),
        ("except", "UTC", "0 22 * * *", 60, ["2026-02-30"]),
        ("except", "UTC", "0 22 * * *", 60, ["20261224"]),
        ("except", "UTC", "0 22 * * *", 60, ["2026-12-24T00:00"]),
        ("except", "UTC", "0 22 * * *", 60, ["2026-12-24"] * 1001),
    ],
)
def test_hours_that_make_no_sense_are_refused_by_their_key(
    key: str, zone: str, starts: str, duration_s: int, dates: Sequence[str]
) -> None:
    with pytest.raises(Refusal) as refused:
        checked_hours(zone, starts, duration_s, dates)
    assert (refused.value.kind, refused.value.key) == ("invalid", key)


def test_a_window_is_defined_changed_and_the_same_again_is_no_news() -> None:
    given(Window, "nights").when(Window.define, NIGHTS).then(DEFINED)
    given(Window, "nights", DEFINED).when(Window.define, NIGHTS).then()
    longer = Hours("Europe/Berlin", "0 22 * * 1-5", 7 * HOUR_S, ("2026-12-24",))
    given(Window, "nights", DEFINED).when(Window.define, longer).then(
        Defined("Europe/Berlin", "0 22 * * 1-5", 7 * HOUR_S, ["2026-12-24"])
    )


def test_a_window_is_removed_and_may_come_back() -> None:
    given(Window, "nights", DEFINED).when(Window.remove).then(Removed())
    given(Window, "nights", DEFINED, Removed()).when(Window.define, NIGHTS).then(DEFINED)
    for gone in ([], [DEFINED, Removed()]):
        given(Window, "nights", *gone).when(Window.remove).refuses("not_found")
