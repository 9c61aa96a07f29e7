"""A large fleet is not carried over in silence: how far it is stands on standard error."""

import pytest

from runners.cli.import_2017 import progress
from tests.runners.cli.import_2017.old_service import OldService
from tests.runners.cli.import_2017.told import HOSTS, Told, no_secret_in


def test_a_line_comes_every_five_seconds_and_none_for_what_is_quick(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 5.0)
    now = iter([0.0, *(each / 2 for each in range(1, 31))])
    names = [f"10.0.0.{each}" for each in range(30)]
    assert list(progress.Progress(lambda: next(now)).through(names, "hosts read")) == names
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["9 of 30 hosts read.", "19 of 30 hosts read.", "29 of 30 hosts read."]


def test_reading_and_carrying_over_tell_how_far_they_are(
    old: OldService,
    password: list[str],
    other: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = Told(capsys, old.url, *password, *other)
    assert " of " not in quick.error
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    shown = Told(capsys, old.url, *password, *other)
    assert shown.out == quick.out
    for what in ("hosts", "clusters", "containermanagers", "networks"):
        assert f" {what} read from {old.url}." in shown.error
    assert f"2 of {len(HOSTS)} hosts read" in shown.error
    done = Told(capsys, old.url, *password, *other, "--yes")
    wanted = len(quick.rows) - 2  # without the heading and the sentence at the end
    assert f"{wanted} of {wanted} carried over to " in done.error
    assert no_secret_in(shown.error + done.error, old)
