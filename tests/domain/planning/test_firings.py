"""When cron fires by the clocks of a zone: each once, also where clocks are changed."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.aggregates.planning.firings import checked_cron, checked_zone, end_of_date, firings
from domain.refusal import Refusal

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def at(text: str) -> str:
    """A time in UTC, as the log has it."""
    return f"{text}:00.000000"


def local(cron: str, zone: str, after: str, count: int) -> list[str]:
    """What clocks in the zone show at the next firings, with the offset to UTC."""
    found = islice(firings(cron, zone, at(after)), count)
    times = [
        datetime.fromisoformat(t).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)) for t in found
    ]
    return [time.isoformat(timespec="minutes") for time in times]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # The time of day that is not there: right after the gap.
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28T12:00",
            ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        (
            "0 2 * * 0",
            BERLIN,
            "2026-03-28T12:00",
            ["2026-03-29T03:00+02:00", "2026-04-05T02:00+02:00"],
        ),
        (
            "30 2 * * *",
            NEW_YORK,
            "2026-03-08T00:00",
            ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"],
        ),
        (
            "15 2 * * *",
            LORD_HOWE,
            "2026-10-03T12:00",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"],
        ),
        # Several of them: after the gap, once.
        (
            "0,30 2,3 * * *",
            BERLIN,
            "2026-03-29T00:00",
            ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00", "2026-03-30T02:00+02:00"],
        ),
        # The one that comes twice: the first time.
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24T12:00",
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        (
            "30 1 * * *",
            NEW_YORK,
            "2026-11-01T00:00",
            ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"],
        ),
        (
            "45 1 * * *",
            LORD_HOWE,
            "2026-04-04T12:00",
            ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"],
        ),
        # Asked between the two: the second is no firing.
        ("30 2 * * *", BERLIN, "2026-10-25T01:15", ["2026-10-26T02:30+01:00"]),
        # By the clock on the wall: both times, and not at all.
        (
            "30 * * * *",
            BERLIN,
            "2026-10-25T00:00",
            ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-25T03:30+01:00"],
        ),
        (
            "30 * * * *",
            BERLIN,
            "2026-03-29T00:00",
            ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"],
        ),
        (
            "*/15 1 * * *",
            LORD_HOWE,
            "2026-04-04T14:20",
            [
                "2026-04-05T01:30+11:00",
                "2026-04-05T01:45+11:00",
                "2026-04-05T01:30+10:30",
                "2026-04-05T01:45+10:30",
                "2026-04-06T01:00+10:30",
            ],
        ),
        # No clock is ever changed.
        (
            "30 2 * * *",
            "UTC",
            "2026-03-29T00:00",
            ["2026-03-29T02:30+00:00", "2026-03-30T02:30+00:00"],
        ),
    ],
)
def test_each_time_of_day_fires_once_a_day_whatever_the_clocks_do(
    cron: str, zone: str, after: str, expected: list[str]
) -> None:
    assert local(cron, zone, after, len(expected)) == expected


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, "UTC"])
def test_a_time_of_day_fires_on_each_day_of_a_year_and_never_twice(zone: str) -> None:
    for cron in ("30 2 * * *", "45 1 * * *", "0 0 * * *"):
        days = [time[:10] for time in local(cron, zone, "2025-12-31T23:59", 366)]
        assert len(set(days)) == 366, cron


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["30 2 * * *", "*/20 * * * *", "15 1-3 * * *", "0,45 2 * * 0"]),
    st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC"]),
    st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-04", "2026-10-03", "2026-10-25"]),
    st.integers(0, 2 * 24 * 60),
)
def test_wherever_it_is_asked_from_the_firings_are_the_same(
    cron: str, zone: str, day: str, minute: int
) -> None:
    begin = f"{day}T00:00:00.000000"
    moment = datetime.fromtimestamp(
        datetime.fromisoformat(f"{day}T00:00+00:00").timestamp() + 60 * minute, UTC
    )
    asked = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    known = [time for time in islice(firings(cron, zone, begin), 400) if time > asked][:5]
    found = list(islice(firings(cron, zone, asked), 5))
    assert found[: len(known)] == known
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    "cron",
    [
        *("", "0 22 * *", "0 22 * * 1-5 2027", "60 0 * * *", "0 24 * * *", "a b c d e", "@daily"),
        *("0 0 30 2 *", "0 0 31 4,6 *", "* * * * * *", "*/0 * * * *", "0 22 * * 8", "0" * 101),
        *("0 22 * * \u0661", "5-1 * * * *", "-1 * * * *", "0 22 * * 1-5\n"),
    ],
)
def test_what_is_no_cron_expression_or_never_fires_is_refused_by_its_key(cron: str) -> None:
    with pytest.raises(Refusal) as refused:
        checked_cron(cron, "starts")
    assert (refused.value.kind, refused.value.key) == ("invalid", "starts")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("0123456789*/,-#LWMONFEB", min_size=1, max_size=6), min_size=5, max_size=5))
def test_any_text_is_an_expression_or_refused(fields: list[str]) -> None:
    try:
        cron = checked_cron(" ".join(fields), "cron")
    except Refusal:
        return
    assert next(firings(cron, BERLIN, at("2026-01-01T00:00")), "never")


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "europe/berlin", "../UTC", "localtime", "Factory", "right/UTC", "+02:00"]
)
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(Refusal) as refused:
        checked_zone(zone)
    assert (refused.value.kind, refused.value.key) == ("invalid", "zone")


def test_fields_may_be_apart_and_names_of_days_are_taken() -> None:
    assert checked_cron("0  22 *  * MON-FRI", "starts") == "0 22 * * MON-FRI"


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_where_the_calendar_ends_nothing_breaks(year: str) -> None:
    found = islice(firings("0 0 1 1 *", NEW_YORK, f"{year}-12-30T00:00:00.000000"), 3)
    assert len(list(found)) == (3 if year == "0001" else 0)


def test_a_date_ends_when_the_calendar_on_the_wall_says_so() -> None:
    assert end_of_date(at("2026-12-24T12:00"), BERLIN) == "2026-12-24T22:59:59.999999"
    assert end_of_date(at("2026-12-24T23:30"), BERLIN) == "2026-12-25T22:59:59.999999"
