"""A long import says how far it is; a short one says nothing."""

import pytest

from runners.cli.import_2017.how_far import TELL_EVERY_S, HowFar


def test_it_is_said_every_few_seconds_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    how_far = HowFar("hosts read", 40, lambda: now)
    for _ in range(25):
        now += TELL_EVERY_S / 10
        how_far.one_more()
    assert capsys.readouterr().err == "10 of 40 hosts read\n20 of 40 hosts read\n"
