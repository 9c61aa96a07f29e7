"""Spans of time as people read them."""

import pytest

from web.console.frame.words import span


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (0.5, "0.5 s"), (90, "1 min 30 s"), (21600, "6 h"), (90000, "1 d 1 h")],
)
def test_a_span_is_told_in_units_that_have_something(seconds: float, told: str) -> None:
    assert span(seconds) == told
