"""Times as they are kept."""

from domain.event import shifted


def test_a_time_is_shifted_no_further_than_the_calendar_goes() -> None:
    assert shifted("2026-01-02T03:04:05.000006", 3600) == "2026-01-02T04:04:05.000006"
    assert shifted("0001-01-01T00:30:00.000000", 1) == "0001-01-01T00:30:01.000000"
    assert shifted("0001-01-01T00:30:00.000000", -3600) == "0001-01-01T00:00:00.000000"
    assert shifted("9999-12-31T23:30:00.000000", 3600) == "9999-12-31T23:59:59.999999"
