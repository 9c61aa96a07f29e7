"""Times are read in the forms that people write them in, and never guessed at."""

import pytest

from domain.moment import moment
from domain.refusal import Refusal


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2015-12-17T15:48:18.710454", "2015-12-17T15:48:18.710454"),
        ("2015-12-17T15:48:18.71", "2015-12-17T15:48:18.710000"),
        ("2015-12-17T15:48:18Z", "2015-12-17T15:48:18.000000"),
        ("2015-12-17T15:48:18+00:00", "2015-12-17T15:48:18.000000"),
        ("2015-12-17 15:48", "2015-12-17T15:48:00.000000"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00.000000"),
    ],
)
def test_every_usual_form_of_a_time_in_utc_is_understood(written: str, meant: str) -> None:
    assert moment(written, "at") == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "now",
        "1450367298",
        "2015-12-17",
        "2015-12-17T15:48:18.7104545",
        "2015-12-17T15:48:18 02:00",
        "2015-12-17T15:48:18+02:00",
        "2015-12-17T15:48:60",
        "2015-02-30T00:00:00",
        "0000-01-01T00:00:00",
        "\u0662015-12-17T15:48:18",
        "2015-12-17T15:48:18\n",
        "2015-12-17T15:48:18\x00" + "x" * 500,
    ],
)
def test_what_is_no_time_in_utc_is_refused_by_its_key(written: str) -> None:
    with pytest.raises(Refusal, match="since must be a time in UTC") as refused:
        moment(written, "since")
    assert (refused.value.kind, refused.value.key) == ("invalid", "since")
    assert len(refused.value.sentence) < 200
